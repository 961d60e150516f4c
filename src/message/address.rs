//! Mail addresses in canonical form, so that one mailbox has one spelling wherever two addresses are compared.

use std::fmt;

/// A mailbox address in canonical form: local part unquoted and lower case, domain in lower-case A-labels without a
/// trailing dot (RFC 5321 section 4.1.2, RFC 5890).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or nothing before or after it.
    #[error("not of the form local-part@domain")]
    Form,
    /// The domain is neither a host name nor an address literal.
    #[error("the domain is not a valid host name")]
    Domain,
}

impl Address {
    /// Reads an address such as SMTP and header fields write it, with or without angle brackets.
    ///
    /// # Errors
    /// [`AddressError`] when it has no local part or no valid domain.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let text = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Form)?;
        if local.is_empty() || domain.is_empty() {
            return Err(AddressError::Form);
        }
        let domain = idna::domain_to_ascii(domain.trim_end_matches('.')).map_err(|_| AddressError::Domain)?;
        Ok(Self { local: local.to_lowercase(), domain })
    }

    /// The local part, unquoted, lower case.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, lower-case A-labels, no trailing dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}
