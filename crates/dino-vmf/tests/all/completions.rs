//! Completion of commands, flags and values; in bash, which `.ci/run` needs, as bash does it.

#![cfg(unix)]

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::fixtures::Tiny;

/// What a person has typed, and a word that the shell must offer.
const ASKED: [(&[&str], &str); 17] = [
    (&["pret"], "pretrain"),
    (&["eval", "k"], "knn"),
    (&["eval", "knn", "--che"], "--checkpoint"),
    (&["pretrain", "--batch"], "--batch-size"),
    (&["pretrain", "--preset", "d"], "dino-vit-s16"),
    (&["pretrain", "--method", "dino-"], "dino-vmf"),
    (&["pretrain", "--recompute", ""], "light"),
    (&["pretrain", "--set", "optim."], "optim.lr="),
    (&["config", "optim.l"], "optim.lr"),
    (&["duplicates", "photos", "--features", ""], "mean"),
    (&["features", "photos", "--features", "log"], "log_likelihood"),
    (&["bench", "step", "--precision", "b"], "bf16"),
    (&["export", "--dtype", "f1"], "f16"),
    (&["attention", "--draw", "o"], "overlay"),
    (&["convert", "--to", "ib"], "ibot"),
    (&["report", "--no-i"], "--no-images"),
    (&["watch", "--po"], "--port"),
];

/// Runs bash with a PATH that has the program, in an empty folder.
fn bash(code: &str) -> String {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_dino-vmf"));
    let mut folders = vec![binary.parent().unwrap().to_owned()];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let home = Tiny::new();
    let mut shell = Command::new("bash");
    shell.args(["-c", code]).current_dir(home.folder.path());
    let output = shell.env("PATH", env::join_paths(folders).unwrap()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_shell_has_a_script_that_asks_the_program() {
    let tiny = Tiny::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = tiny.run(&["completions", shell, "--quiet"]).code(0).stdout;
        assert!(script.contains("DINO_VMF_COMPLETE") && script.contains("dino-vmf"), "{shell}");
        assert!(script == tiny.run(&["completions", shell, "--json"]).code(0).stdout, "{shell}");
    }
    tiny.run(&["completions", "csh"]).code(2).says("possible values: bash, elvish, fish");
}

#[test]
fn bash_completes_below_the_first_level() {
    let script = Tiny::new().run(&["completions", "bash"]).code(0).stdout;
    for (words, wanted) in ASKED {
        // Calls the function that the script registers, as bash does.
        let words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>();
        let ask = format!(
            "of=$(complete -p dino-vmf); of=${{of#*-F }}; COMP_WORDS=(dino-vmf {}); COMP_CWORD={}; \
             COMP_TYPE=9; ${{of%% *}} dino-vmf {} ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len(),
            words[words.len() - 1],
        );
        let offered = bash(&format!("{script}\n{ask}"));
        assert!(offered.lines().any(|word| word == wanted), "{words:?}: {offered}");
    }
}

/// The scripts of these shells ask the same question, each in a form of its own.
#[test]
fn other_shells_get_the_same_answers() {
    for (words, wanted) in ASKED {
        for shell in ["zsh", "fish", "elvish", "powershell"] {
            let answer = crate::fixtures::command()
                .env("DINO_VMF_COMPLETE", shell)
                .env("_CLAP_IFS", "\n")
                .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
                .args(["--", "dino-vmf"])
                .args(words)
                .output()
                .unwrap();
            let offered = String::from_utf8(answer.stdout).unwrap();
            // a description follows the word
            let mut offered_words =
                offered.lines().filter_map(|line| line.split(['\t', ':']).next());
            assert!(offered_words.any(|word| word == wanted), "{shell} {words:?}: {offered}");
        }
    }
}
