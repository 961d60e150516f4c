//! The callbacks: milter protocol in, [`Session`] calls, milter protocol out. No decision is made here.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use indymilter::{
    Actions, Callbacks, Context, EomContext, MacroStage, NegotiateContext, ProtoOpts, SetErrorReply, SocketInfo, Status,
};

use super::effects;
use super::session::{MailMacros, Reaction, Session};
use super::{Role, meters};
use crate::gateway::{Gateway, Outcome};
use crate::wording::replies::Reply;

/// What we must be allowed to do; an MTA that does not offer it cannot enforce a charter.
const ACTIONS: [Actions; 8] = [
    Actions::ADD_HEADER,
    Actions::CHANGE_HEADER,
    Actions::REPLACE_BODY,
    Actions::QUARANTINE,
    Actions::ADD_RCPT,
    Actions::ADD_RCPT_EXT,
    Actions::DELETE_RCPT,
    Actions::CHANGE_SENDER,
];

/// What we ask for when the MTA offers it. DATA is answered (an unanswered DATA costs 44 ms on TCP), RCPT only when some
/// mailbox is deactivated. The packets of the body are answered on TCP alone, for the same reason: an answer to each
/// doubles what receiving it costs. What goes beyond a limit is dropped as it comes; SKIP is for where there are answers.
const WISHES: [ProtoOpts; 7] = [
    ProtoOpts::LEADING_SPACE,
    ProtoOpts::SKIP,
    ProtoOpts::NOREPLY_CONNECT,
    ProtoOpts::NOREPLY_HELO,
    ProtoOpts::NOREPLY_MAIL,
    ProtoOpts::NOREPLY_HEADER,
    ProtoOpts::NO_UNKNOWN,
];

/// What a connection remembers beside its session: which stages must not be answered.
pub struct Connection {
    session: Session,
    quiet: ProtoOpts,
}

impl Connection {
    fn status(&self, stage: ProtoOpts, otherwise: Status) -> Status {
        if self.quiet.contains(stage) { Status::Noreply } else { otherwise }
    }
}

/// The callbacks of one socket.
#[must_use]
pub fn callbacks(gateway: &Arc<Gateway>, role: Role, is_local: bool) -> Callbacks<Connection> {
    let gateway = Arc::clone(gateway);
    Callbacks::new()
        .on_negotiate(move |cx, actions, opts| {
            let gateway = Arc::clone(&gateway);
            Box::pin(async move { negotiate(cx, gateway, (role, is_local), actions, opts) })
        })
        .on_connect(|cx, _host, socket| {
            Box::pin(async move {
                let address = match socket {
                    SocketInfo::Inet(address) => Some(address.ip()),
                    SocketInfo::Unix(_) | SocketInfo::Unknown => None,
                };
                with(cx, |connection| {
                    connection.session.connect(address);
                    connection.status(ProtoOpts::NOREPLY_CONNECT, Status::Continue)
                })
            })
        })
        .on_helo(|cx, _| {
            Box::pin(async move { with(cx, |connection| connection.status(ProtoOpts::NOREPLY_HELO, Status::Continue)) })
        })
        .on_mail(|cx, args| Box::pin(async move { mail(cx, &args) }))
        .on_rcpt(|cx, args| Box::pin(rcpt(cx, args)))
        .on_data(|cx| Box::pin(data(cx)))
        .on_header(|cx, name, value| {
            Box::pin(async move {
                with(cx, |connection| {
                    connection.session.header(name.as_bytes(), value.as_bytes());
                    connection.status(ProtoOpts::NOREPLY_HEADER, Status::Continue)
                })
            })
        })
        .on_eoh(|cx| {
            Box::pin(async move {
                let Some(connection) = &mut cx.data else { return Status::Tempfail };
                let reaction = connection.session.end_of_header();
                let quiet = connection.status(ProtoOpts::NOREPLY_EOH, Status::Continue);
                if quiet == Status::Noreply { quiet } else { react(&mut cx.reply, reaction) }
            })
        })
        .on_body(|cx, chunk| {
            Box::pin(async move {
                let Some(connection) = &mut cx.data else { return Status::Tempfail };
                let may_skip = connection.quiet & (ProtoOpts::SKIP | ProtoOpts::NOREPLY_BODY) == ProtoOpts::SKIP;
                match connection.session.body(&chunk) {
                    // Never `Noreply`: after it indymilter would not call us at the end of a message whose last octets
                    // come with the last packet, and the MTA would wait for ever. It leaves the answer out by itself.
                    Reaction::Skip if !may_skip => Status::Continue,
                    reaction => react(&mut cx.reply, reaction),
                }
            })
        })
        .on_eom(|cx| Box::pin(end_of_message(cx)))
        .on_abort(|cx| {
            Box::pin(async move {
                with(cx, |connection| {
                    connection.session.abort();
                    Status::Continue
                })
            })
        })
        .on_close(|cx| {
            Box::pin(async move {
                cx.data = None;
                Status::Continue
            })
        })
}

/// Runs `f` on the connection; a connection that was never negotiated cannot judge, and says so.
fn with(cx: &mut Context<Connection>, f: impl FnOnce(&mut Connection) -> Status) -> Status {
    cx.data.as_mut().map_or(Status::Tempfail, f)
}

fn negotiate(
    cx: &mut NegotiateContext<Connection>,
    gateway: Arc<Gateway>,
    (role, is_local): (Role, bool),
    offered_actions: Actions,
    offered: ProtoOpts,
) -> Status {
    metrics::counter!(meters::CONNECTIONS).increment(1);
    let wanted = ACTIONS.into_iter().fold(Actions::empty(), |all, action| all | action);
    if !offered_actions.contains(wanted) {
        // indymilter ends the session when an action is missing, and the MTA falls back to its default action.
        tracing::error!(
            missing = ?(wanted - offered_actions),
            "the mail server does not offer what a charter needs: set milter_protocol = 6 (Postfix) or use Sendmail 8.14 or newer"
        );
    }
    cx.requested_actions = wanted;
    let mut wishes = WISHES.into_iter().fold(ProtoOpts::empty(), |all, wish| all | wish);
    if is_local {
        wishes |= ProtoOpts::NOREPLY_BODY;
    }
    if !gateway.in_force().has_deactivated_mailboxes {
        wishes |= ProtoOpts::NOREPLY_RCPT;
    }
    if !gateway.in_force().has_general_rules {
        wishes |= ProtoOpts::NOREPLY_EOH;
    }
    if role == Role::Hold {
        wishes |= ProtoOpts::NO_HEADER | ProtoOpts::NO_EOH | ProtoOpts::NO_BODY;
    }
    let quiet = wishes & offered;
    cx.requested_opts = quiet;
    for (stage, names) in [
        (MacroStage::Connect, c"j v {daemon_name}"),
        (MacroStage::Mail, c"i {auth_type} {auth_authen} {cert_subject}"),
        (MacroStage::Rcpt, c"i"),
        (MacroStage::Data, c"i"),
        (MacroStage::Eom, c"i"),
    ] {
        cx.requested_macros.insert(stage, CString::from(names));
    }
    cx.data = Some(Connection { session: Session::new(gateway, role), quiet });
    Status::Continue
}

fn mail(cx: &mut Context<Connection>, args: &[CString]) -> Status {
    let macros = MailMacros {
        login: macro_value(cx.macros.get(c"{auth_authen}")),
        certificate: macro_value(cx.macros.get(c"{cert_subject}")),
    };
    let (sender, parameters) = path_and_parameters(args);
    with(cx, |connection| {
        connection.session.mail(&sender, &parameters, macros);
        connection.status(ProtoOpts::NOREPLY_MAIL, Status::Continue)
    })
}

async fn rcpt(cx: &mut Context<Connection>, args: Vec<CString>) -> Status {
    let (path, parameters) = path_and_parameters(&args);
    let Some(connection) = &mut cx.data else { return Status::Tempfail };
    let may_answer = !connection.quiet.contains(ProtoOpts::NOREPLY_RCPT) && !submitted_locally(&cx.macros);
    let reaction = connection.session.rcpt(&path, parameters, may_answer).await;
    let quiet = connection.status(ProtoOpts::NOREPLY_RCPT, Status::Continue);
    if quiet == Status::Noreply { quiet } else { react(&mut cx.reply, reaction) }
}

async fn data(cx: &mut Context<Connection>) -> Status {
    let queue_id = macro_value(cx.macros.get(c"i"));
    let Some(connection) = &mut cx.data else { return Status::Tempfail };
    let reaction = connection.session.data(queue_id).await;
    react(&mut cx.reply, reaction)
}

async fn end_of_message(cx: &mut EomContext<Connection>) -> Status {
    let queue_id = macro_value(cx.macros.get(c"i"));
    let Some(connection) = &mut cx.data else { return Status::Tempfail };
    let ruled = connection.session.end_of_message(queue_id).await;
    let gateway = Arc::clone(connection.session.gateway());
    let (status, delivered) = match ruled.outcome {
        Outcome::Pass => (Status::Accept, true),
        Outcome::Refuse(reply) => (refuse(&mut cx.reply, &reply), false),
        Outcome::Deliver(effects) => match effects::send(&cx.actions, &effects, ruled.settlement.is_some()).await {
            Ok(()) => (Status::Accept, true),
            Err(error) => {
                // Half of the edits may have been sent: only a refusal makes the MTA forget them.
                tracing::error!(%error, "the edits could not be sent to the mail server");
                (Status::Tempfail, false)
            }
        },
    };
    if let Some(settlement) = ruled.settlement {
        gateway.settle(settlement, delivered).await;
    }
    status
}

/// Mail from the local `sendmail` command reaches Postfix's milters through cleanup, which knows the queue id from the
/// start and cannot refuse a single recipient; an SMTP client's mail has no queue id before its first recipient.
fn submitted_locally(macros: &indymilter::Macros) -> bool {
    macros.get(c"v").is_some_and(|version| version.to_bytes().starts_with(b"Postfix"))
        && macros.get(c"{daemon_name}").is_none()
}

fn macro_value(value: Option<&CStr>) -> Option<String> {
    value.map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

fn path_and_parameters(args: &[CString]) -> (String, Vec<String>) {
    let mut args = args.iter().map(|arg| arg.to_string_lossy().into_owned());
    (args.next().unwrap_or_default(), args.collect())
}

fn react(reply: &mut impl SetErrorReply, reaction: Reaction) -> Status {
    match reaction {
        Reaction::Continue => Status::Continue,
        Reaction::Accept => Status::Accept,
        Reaction::Skip => Status::Skip,
        Reaction::Refuse(text) => refuse(reply, &text),
    }
}

fn refuse(to: &mut impl SetErrorReply, reply: &Reply) -> Status {
    // Postfix and Sendmail read `%` as the start of a format.
    let text = reply.text.replace('%', "%%");
    if let Err(error) = to.set_error_reply(reply.code, Some(reply.status), [text.as_str()]) {
        tracing::error!(%error, code = reply.code, "a reply text was not accepted; the standard one is sent");
    }
    if reply.code.starts_with('4') { Status::Tempfail } else { Status::Reject }
}
