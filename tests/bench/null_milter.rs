//! The measure of all things: a milter that does nothing, in two kinds.

use indymilter::{Callbacks, Config, ProtoOpts, Status};
use tokio::net::{TcpListener, UnixListener};

use super::milter_client::Address;

/// Serves until the process is killed. `quiet` asks for the no-reply flags; else every stage is answered.
pub fn serve(address: &Address, quiet: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let callbacks = callbacks(quiet);
        let config = Config { max_connections: 500, ..Config::default() };
        let forever = std::future::pending::<()>();
        match address {
            Address::Unix(path) => {
                let listener = UnixListener::bind(path).unwrap();
                indymilter::run(listener, callbacks, config, forever).await.unwrap();
            }
            Address::Inet(port) => {
                let listener = TcpListener::bind(("127.0.0.1", *port)).await.unwrap();
                indymilter::run(listener, callbacks, config, forever).await.unwrap();
            }
        }
    });
}

fn callbacks(quiet: bool) -> Callbacks<()> {
    const QUIET: [ProtoOpts; 8] = [
        ProtoOpts::NOREPLY_CONNECT,
        ProtoOpts::NOREPLY_HELO,
        ProtoOpts::NOREPLY_MAIL,
        ProtoOpts::NOREPLY_RCPT,
        ProtoOpts::NOREPLY_DATA,
        ProtoOpts::NOREPLY_HEADER,
        ProtoOpts::NOREPLY_EOH,
        ProtoOpts::NOREPLY_BODY,
    ];
    let status = if quiet { Status::Noreply } else { Status::Continue };
    Callbacks::new()
        .on_negotiate(move |context, _, _| {
            Box::pin(async move {
                if quiet {
                    context.requested_opts = QUIET.into_iter().fold(ProtoOpts::empty(), |all, flag| all | flag);
                }
                Status::Continue
            })
        })
        .on_connect(move |_, _, _| Box::pin(async move { status }))
        .on_helo(move |_, _| Box::pin(async move { status }))
        .on_mail(move |_, _| Box::pin(async move { status }))
        .on_rcpt(move |_, _| Box::pin(async move { status }))
        .on_data(move |_| Box::pin(async move { status }))
        .on_header(move |_, _, _| Box::pin(async move { status }))
        .on_eoh(move |_| Box::pin(async move { status }))
        .on_body(move |_, _| Box::pin(async move { status }))
        .on_eom(|_| Box::pin(async move { Status::Continue }))
}
