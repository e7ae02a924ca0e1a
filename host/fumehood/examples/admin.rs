//! An engine that waits, with an admin socket to list and swap its guests.
//!
//! ```sh
//! cargo run --release --example admin -- /tmp/fumehood.sock &
//! fumehood modules list --socket /tmp/fumehood.sock
//! fumehood modules load http1@1.2.0.wasm --socket /tmp/fumehood.sock
//! ```

use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // First thing, before any thread: the engine and the broker are this
    // program, executed again.
    fumehood::init();
    let socket = std::env::args_os().nth(1).ok_or("usage: admin SOCKET")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let builder = fumehood::Engine::builder().admin_socket(&socket);
        let engine = builder.launch().await?;
        let mut out = std::io::stdout().lock();
        for module in engine.modules().list().await?.modules {
            writeln!(out, "{} {} {}", module.name, module.version, module.digest)?;
        }
        writeln!(out, "listening on {}", socket.display())?;
        // A real program would do its work; this one waits to be ended.
        std::future::pending().await
    })
}
