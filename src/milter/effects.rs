//! The effects of a decision, as milter actions.
//!
//! Order matters: header edits as planned (from the highest index down), then the envelope, then the body in one go —
//! anything between two body packets makes Postfix drop it — and the quarantine last, because it ends Postfix's chain of
//! milters.

use std::ffi::CString;

use indymilter::{ActionError, ContextActions, EomActions};

use crate::gateway::Effects;
use crate::message::headers::HeaderEdit;

/// The most a body packet may carry (libmilter's `MILTER_CHUNK_SIZE`).
const BODY_CHUNK_BYTES: usize = 65_535;

/// Sends the effects. They leave together with what follows ([`super::gathered`]): with the reply, or, where it must be
/// known whether the MTA is there to take them, with a word of progress.
///
/// # Errors
/// The MTA is gone, or did not grant an action.
pub async fn send(actions: &EomActions, effects: &Effects, must_arrive: bool) -> Result<(), ActionError> {
    for edit in &effects.header_edits {
        header(actions, edit).await?;
    }
    if let Some(sender) = &effects.return_path {
        actions.change_sender(format!("<{sender}>"), None::<String>).await?;
    }
    for replacement in &effects.recipients {
        actions.delete_recipient(replacement.raw.as_str()).await?;
        let parameters = (!replacement.parameters.is_empty()).then(|| replacement.parameters.join(" "));
        actions.add_recipient_ext(replacement.raw.as_str(), parameters).await?;
    }
    if let Some(body) = &effects.body {
        if body.is_empty() {
            actions.replace_body(b"").await?;
        }
        for chunk in body.chunks(BODY_CHUNK_BYTES) {
            actions.replace_body(chunk).await?;
        }
    }
    if let Some(reason) = &effects.quarantine {
        actions.quarantine(reason.as_str()).await?;
    }
    if must_arrive {
        actions.progress().await?;
    }
    Ok(())
}

async fn header(actions: &EomActions, edit: &HeaderEdit) -> Result<(), ActionError> {
    match edit {
        HeaderEdit::Delete { name, index } => {
            actions.change_header(name.as_str(), signed(*index), None::<CString>).await
        }
        HeaderEdit::Replace { name, index, value } => {
            actions.change_header(name.as_str(), signed(*index), Some(text(value))).await
        }
        HeaderEdit::Insert { position, name, value } => {
            actions.insert_header(signed(*position), name.as_str(), text(value)).await
        }
        HeaderEdit::Append { name, value } => actions.add_header(name.as_str(), text(value)).await,
    }
}

/// The protocol's integers are signed; no header has so many fields that it matters.
fn signed(index: u32) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// A header value as the protocol takes it; a NUL, which no planned value contains, would end it.
fn text(value: &[u8]) -> CString {
    let bytes: Vec<u8> = value.iter().copied().take_while(|&byte| byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}
