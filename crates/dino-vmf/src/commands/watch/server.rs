//! Answers browsers on this machine: the page, and its version.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use serde_json::json;
use tiny_http::{Header, Method, Request, Response};

/// Threads that answer: a browser that reads slowly does not keep others waiting.
const THREADS: usize = 4;
/// Names under which a browser on this machine asks. Pages of other sites, whose names an attacker may lead to the
/// loopback address, use their own.
const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

/// The page that is served.
#[derive(Debug, Default)]
struct Shown {
    html: Arc<str>,
    version: u64,
    /// Why the page is not up to date; empty if it is.
    problem: String,
}

/// A server that runs until the process ends.
pub(super) struct Server {
    shown: Arc<Mutex<Shown>>,
}

impl Server {
    /// Starts to answer.
    ///
    /// # Errors
    /// If the system refuses it.
    pub(super) fn start(listener: TcpListener) -> Result<Self> {
        let http = tiny_http::Server::from_listener(listener, None);
        let http = Arc::new(http.map_err(|error| anyhow!("cannot serve pages: {error}"))?);
        // Another server on the same port, earlier or later, has other versions.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = Shown { version: now.as_millis() as u64, ..Shown::default() };
        let shown = Arc::new(Mutex::new(first));
        for _ in 0..THREADS {
            let (http, shown) = (http.clone(), shown.clone());
            thread::Builder::new().spawn(move || {
                while let Ok(request) = http.recv() {
                    // A browser that has closed the connection gets nothing.
                    drop(answer(request, &shown));
                }
            })?;
        }
        Ok(Self { shown })
    }

    /// Shows this page from now on.
    pub(super) fn show(&self, html: String) {
        let mut shown = lock(&self.shown);
        if *shown.html != html {
            shown.html = html.into();
            shown.version += 1;
        }
    }

    /// Says why the page is not up to date.
    pub(super) fn problem(&self, text: String) {
        lock(&self.shown).problem = text;
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(request: Request, shown: &Mutex<Shown>) -> std::io::Result<()> {
    let text = |code: u16, text: &str| Response::from_string(text).with_status_code(code);
    if !is_for_this_machine(&request) {
        return request.respond(text(403, "this address is for browsers on this machine\n"));
    }
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(text(405, "only GET is answered\n"));
    }
    let (html, version, problem) = {
        let shown = lock(shown);
        (shown.html.clone(), shown.version, shown.problem.clone())
    };
    let (body, kind) = match request.url() {
        "/" => (html.to_string(), "text/html; charset=utf-8"),
        "/version" => {
            (json!({ "version": version, "problem": problem }).to_string(), "application/json")
        }
        _ => return request.respond(text(404, "there is only one page, /\n")),
    };
    let mut response = Response::from_string(body);
    for (name, value) in [("Content-Type", kind), ("Cache-Control", "no-store")] {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    request.respond(response)
}

fn is_for_this_machine(request: &Request) -> bool {
    let host = request.headers().iter().find(|header| header.field.equiv("Host"));
    let name = host.map(|header| header.value.as_str().split(':').next().unwrap_or_default());
    name.is_some_and(|name| HOSTS.contains(&name))
}
