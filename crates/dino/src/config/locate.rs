//! Relative sources of a run that is resumed from another working directory.

use std::env;
use std::path::Path;

use super::{Config, Origin};

impl Config {
    /// `source`, the value of `key`, as it can be opened from the working directory.
    ///
    /// A relative path in a run's own `config.toml` starts from the folder in which the run was started,
    /// as long as it leads to something there. Everything else stays as it is.
    pub fn locate(&self, key: &str, source: &str) -> String {
        let own = matches!(self.origin(key), Origin::Run { .. });
        let Some(start) = self.run.working_dir.as_deref().filter(|_| own) else {
            return source.to_owned();
        };
        let here = env::current_dir().is_ok_and(|here| here == Path::new(start));
        if here || is_built_in(source) || Path::new(source).is_absolute() {
            return source.to_owned();
        }
        let there = Path::new(start).join(source).to_string_lossy().into_owned();
        if leads_somewhere(&there) { there } else { source.to_owned() }
    }

    /// The same settings with the working directory as the folder that relative sources start from.
    pub(crate) fn located(&self) -> Self {
        let mut config = self.clone();
        config.data.source = self.locate("data.source", &self.data.source);
        let checkpoint = self.init.checkpoint.as_ref();
        config.init.checkpoint = checkpoint.map(|path| self.locate("init.checkpoint", path));
        let eval = &mut config.eval;
        eval.train = self.eval.train.as_ref().map(|train| self.locate("eval.train", train));
        eval.test = self.eval.test.as_ref().map(|test| self.locate("eval.test", test));
        let here = env::current_dir().ok();
        config.run.working_dir = here.and_then(|here| Some(here.to_str()?.to_owned()));
        config
    }
}

/// Whether a source is the images inside the program.
pub(crate) fn is_built_in(source: &str) -> bool {
    matches!(source, "shapes" | "shapes:train" | "shapes:test")
}

/// Whether a source, with a part (`photos:train`) or a pattern (`shards-{0..9}.tar`), exists.
fn leads_somewhere(source: &str) -> bool {
    let whole = source.strip_suffix(":train").or(source.strip_suffix(":test")).unwrap_or(source);
    let exists = |path: &Path| path.try_exists().unwrap_or(true);
    let pattern = whole.contains('{') && Path::new(whole).parent().is_some_and(exists);
    pattern || exists(Path::new(source)) || exists(Path::new(whole))
}
