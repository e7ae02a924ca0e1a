//! A real nginx on free loopback ports, in a folder of its own.
//!
//! Runs as whoever runs the test, in one process, so that killing the child
//! stops it. Every [`Service`] serves the whole [`Site`], and:
//!
//! | path | answer |
//! |---|---|
//! | `/NAME` | the file, with `content-length`, ranges and keep-alive |
//! | `/chunked/NAME` | the file from a second server behind, in chunked coding, with the trailer `x-trailer: end` |
//! | `/close/NAME` | the file, and the connection ends after it |
//! | `/slow/NAME` | the file at 64 KiB a second |
//! | `/redirect/PATH` | 302 to `/PATH` |
//! | `/empty` | 204 |
//! | `/upload/NAME` | PUT stores, GET returns, DELETE removes |

use std::fs;
use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::Site;
use super::server::{self, Server, find_program};
use crate::certs::Identity;
use crate::temp::TempDir;

/// A request is logged just after its last byte has been sent.
const LOG_LIMIT: Duration = Duration::from_secs(30);

/// How often a file that nginx is about to write is looked at.
const POLL: Duration = Duration::from_millis(2);

/// One server of the running nginx, each on a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// HTTP/1.1 in the clear.
    Http,
    /// TLS 1.2 and nothing newer.
    Tls12,
    /// TLS 1.3 alone, with `TLS_AES_128_GCM_SHA256`.
    Tls13,
}

const SERVICES: usize = 3;

/// A running nginx; killed, and its folder removed, on drop.
#[derive(Debug)]
pub struct Nginx {
    _server: Server,
    folder: TempDir,
    ports: [u16; SERVICES],
}

/// One line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// As sent.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The status nginx answered with.
    pub status: u16,
    /// `TLSv1.2`, `TLSv1.3`, or `-` in the clear.
    pub tls: String,
    /// The cipher suite, or `-` in the clear.
    pub cipher: String,
    /// Which connection it came on: equal numbers, same connection.
    pub connection: u64,
    /// The how-manieth request on that connection, from 1.
    pub number: u64,
}

impl Nginx {
    /// Starts nginx with `identity` on its TLS services, and returns once
    /// every service accepts connections.
    ///
    /// # Errors
    /// Where nginx is not installed, or does not start; the error contains
    /// what nginx said.
    pub fn start(identity: &Identity, site: &Site) -> io::Result<Self> {
        server::start(|| Self::attempt(identity, site))
    }

    /// Each attempt has a folder of its own: an nginx that found a port taken
    /// leaves its Unix socket behind, and the next one could not bind that.
    fn attempt(identity: &Identity, site: &Site) -> io::Result<Self> {
        let folder = TempDir::new()?;
        site.write(&folder.join("www"))?;
        fs::create_dir_all(folder.join("upload"))?;
        folder.write("chain.pem", &identity.chain_pem)?;
        folder.write("key.pem", &identity.key_pem)?;
        let ports = server::free_ports()?;
        let config = folder.write("nginx.conf", configuration(&folder, ports))?;
        let mut command = Command::new(find_program("nginx")?);
        command.arg("-p").arg(folder.path()).arg("-c").arg(config);
        command.arg("-e").arg(folder.join("error.log"));
        // It writes its number once all its sockets listen.
        let number = folder.join("nginx.pid");
        let is_ready = || fs::metadata(&number).is_ok_and(|file| file.len() > 0);
        Ok(Self {
            _server: Server::start(command, &folder, "error.log", is_ready)?,
            folder,
            ports,
        })
    }

    /// The loopback port of `service`.
    #[must_use]
    pub fn port(&self, service: Service) -> u16 {
        match (service, self.ports) {
            (Service::Http, [port, ..])
            | (Service::Tls12, [_, port, _])
            | (Service::Tls13, [.., port]) => port,
        }
    }

    /// The URL of `path` (without its leading slash) on `service`, by address:
    /// `https://127.0.0.1:PORT/PATH`.
    #[must_use]
    pub fn url(&self, service: Service, path: &str) -> String {
        self.url_at("127.0.0.1", service, path)
    }

    /// The same under another name of this machine, such as `localhost`.
    #[must_use]
    pub fn url_at(&self, host: &str, service: Service, path: &str) -> String {
        let scheme = match service {
            Service::Http => "http",
            Service::Tls12 | Service::Tls13 => "https",
        };
        format!("{scheme}://{host}:{}/{path}", self.port(service))
    }

    /// Serves these files too from now on.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn serve(&self, site: &Site) -> io::Result<()> {
        site.write(&self.folder.join("www"))
    }

    /// What was PUT under `/upload/NAME`.
    ///
    /// # Errors
    /// As [`fs::read`]: `NotFound` where nothing was.
    pub fn uploaded(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.folder.join("upload").join(name))
    }

    /// All requests so far, once there are at least `count`. nginx logs a
    /// request when its answer has been sent, so a test that has just read
    /// the answer must wait for the line.
    ///
    /// # Panics
    /// If there are fewer after half a minute.
    #[must_use]
    pub fn wait_for_requests(&self, count: usize) -> Vec<LoggedRequest> {
        let deadline = Instant::now() + LOG_LIMIT;
        loop {
            let log = fs::read_to_string(self.folder.join("access.log")).unwrap_or_default();
            // A line still being written has no end yet.
            let lines = log
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let requests: Vec<_> = lines.filter_map(LoggedRequest::parse).collect();
            if requests.len() >= count {
                return requests;
            }
            assert!(
                Instant::now() < deadline,
                "nginx logged {} requests, not {count}:\n{log}",
                requests.len()
            );
            thread::sleep(POLL);
        }
    }

    /// What nginx has complained of, for a failing test's message.
    #[must_use]
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.folder.join("error.log")).unwrap_or_default()
    }
}

impl LoggedRequest {
    /// Reads a line in the format that [`configuration`] sets.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        Some(Self {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            status: words.next()?.parse().ok()?,
            tls: words.next()?.to_owned(),
            cipher: words.next()?.to_owned(),
            connection: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
        })
    }
}

fn configuration(folder: &TempDir, [http, tls12, tls13]: [u16; SERVICES]) -> String {
    let root = folder.path().display();
    let locations = locations(folder);
    format!(
        r#"
daemon off;
master_process off;
worker_processes 1;
pid {root}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    log_format words '$request_method $request_uri $status '
        '$connection_tls $connection_cipher $connection $connection_requests';
    map $ssl_protocol $connection_tls {{ '' '-'; default $ssl_protocol; }}
    map $ssl_cipher $connection_cipher {{ '' '-'; default $ssl_cipher; }}
    access_log {root}/access.log words;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    default_type application/octet-stream;
    sendfile on;
    keepalive_requests 100000;
    client_max_body_size 0;
    ssl_certificate {root}/chain.pem;
    ssl_certificate_key {root}/key.pem;

    server {{
        listen 127.0.0.1:{http};
        {locations}
    }}
    server {{
        listen 127.0.0.1:{tls12} ssl;
        ssl_protocols TLSv1.2;
        {locations}
    }}
    server {{
        listen 127.0.0.1:{tls13} ssl;
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        {locations}
    }}
    # Behind the others: looking for includes in what it serves, it cannot
    # say how long that will be.
    server {{
        listen unix:{root}/upstream.sock;
        access_log off;
        root {root}/www;
        ssi on;
        ssi_types *;
    }}
}}
"#
    )
}

fn locations(folder: &TempDir) -> String {
    let root = folder.path().display();
    format!(
        "
        root {root}/www;
        location /chunked/ {{
            proxy_pass http://unix:{root}/upstream.sock:/;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_buffering off;
            add_trailer X-Trailer end;
        }}
        location /close/ {{ alias {root}/www/; keepalive_timeout 0; }}
        location /slow/ {{ alias {root}/www/; limit_rate 64k; }}
        location ~ ^/redirect/(.*)$ {{ return 302 /$1; }}
        location = /empty {{ return 204; }}
        location /upload/ {{
            root {root};
            dav_methods PUT DELETE;
            create_full_put_path on;
        }}"
    )
}
