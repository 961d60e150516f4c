//! The trace of operators: every command that reads or changes held mail or the log is itself in the log (am:A3).

use super::record::OperatorRecord;

/// A record that the person who runs this program used `command`. `arguments` are without addresses and Message-IDs.
#[must_use]
pub fn operator_record(command: &str, arguments: Vec<String>, reference: Option<String>) -> OperatorRecord {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = name_of(uid, &passwd).map_or_else(|| format!("uid {uid}"), str::to_owned);
    // Only root's word about who called it is worth noting; anybody else can set the variable.
    let behind = std::env::var("SUDO_USER").ok().filter(|name| uid == 0 && !name.is_empty());
    OperatorRecord { command: command.to_owned(), arguments, user, behind, reference }
}

/// The login name of a user id, in the words of passwd(5).
fn name_of(uid: u32, passwd: &str) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_has_the_name_passwd_gives() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\nbroken\npostmaster:x:1001:1001::/:/bin/sh\n";
        assert_eq!(name_of(1001, passwd), Some("postmaster"));
        assert_eq!(name_of(7, passwd), None);
    }
}
