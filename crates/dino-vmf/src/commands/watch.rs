//! `dino-vmf watch`: the page of runs that go on, served on the loopback address.

mod changes;
mod server;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use clap::{Args, ValueHint};
use serde_json::json;
use signal_hook::{consts::SIGINT, flag};

use super::run_report::{self, PictureFlags};
use super::{thread_count, use_threads};
use crate::console::Console;
use changes::Watched;
use server::Server;

/// Show runs in a browser while they go on
///
/// Serves the page of `dino-vmf report RUN... --html` on the loopback address, so that only this machine can open
/// it, and prints the address. The open page follows the run by itself and keeps its place; nothing is sent while
/// nothing has changed. Pictures are drawn again for each new checkpoint. Ctrl-C ends the command at once.
///
/// From another machine: ssh -L 8080:127.0.0.1:8080 HOST dino-vmf watch RUN --port 8080
///
/// Example: dino-vmf watch runs/photos
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Run folders
    #[arg(value_name = "RUN", required = true, value_hint = ValueHint::DirPath)]
    runs: Vec<PathBuf>,
    /// Port of the address; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    port: u16,
    #[command(flatten)]
    pictures: PictureFlags,
    /// Compute threads for pictures; 0 uses all cores. One leaves the others to training
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
}

impl Watch {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let runs = run_report::open(&self.runs, true)?;
        runs.iter().flat_map(run_report::Run::warnings).for_each(|text| console.warn(text));
        end_on_interrupt()?;
        let listener = self.listen()?;
        use_threads(self.threads)?;
        let address = format!("http://{}/", listener.local_addr()?);
        let server = Server::start(listener)?;
        console.event("watching", &json!({ "address": address }));
        console.text(address);
        console.note("Ctrl-C ends it");
        Watched::new(&self.runs, &self.pictures).follow(&server)
    }

    fn listen(&self) -> Result<TcpListener> {
        let port = self.port;
        TcpListener::bind(("127.0.0.1", port)).with_context(|| {
            format!("cannot serve on port {port}; choose another `--port`, or leave it out to take a free one")
        })
    }
}

/// Ends the process on SIGINT even if it was started with SIGINT ignored, as shells start background jobs of scripts.
fn end_on_interrupt() -> Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    flag::register_conditional_shutdown(SIGINT, 130, always).context("cannot listen to signals")?;
    Ok(())
}
