//! Fetches a URL and prints it: all that an embedder needs.
//!
//! ```sh
//! cargo run --release --example get -- https://example.com/
//! ```

use std::io::Write as _;

use http_body_util::{BodyExt, Empty};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // First thing, before any thread: the engine and the broker are this
    // program, executed again.
    fumehood::init();
    let url = std::env::args().nth(1).ok_or("usage: get URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(get(&url))
}

async fn get(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let engine = fumehood::Engine::builder().launch().await?;
    let request = http::Request::get(url).body(Empty::<bytes::Bytes>::new())?;
    let response = engine.client().send(request).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", response.status())?;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        // An error here means that the content is not whole.
        if let Ok(data) = frame?.into_data() {
            out.write_all(&data)?;
        }
    }
    Ok(())
}
