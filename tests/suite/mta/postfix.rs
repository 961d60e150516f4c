//! A private Postfix: own configuration, queue and data directories, own loopback port, no chroot, no systemd. Whatever it
//! accepts goes to one next hop, the test's [`super::sink::Sink`].

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::client::{self, Outcome, SmtpClient};
use super::guard::Guard;
use super::letter::Letter;
use super::{demand_root, directory, free_address, program, wait_for, write};

/// The host name the instance gives itself.
pub const HOSTNAME: &str = "mx.tests.example";

/// What an instance is to look like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything it accepts is delivered to.
    pub next_hop: SocketAddr,
    /// `smtpd_milters`, in the order they run: `unix:/path` or `inet:127.0.0.1:port`.
    pub milters: Vec<String>,
    /// `non_smtpd_milters`: for mail handed to the `sendmail` command.
    pub non_smtpd_milters: Vec<String>,
    /// Users and passwords that may log in (Cyrus SASL, a private sasldb); their realm is [`HOSTNAME`].
    pub users: Vec<(String, String)>,
    /// Offer STARTTLS with a fresh certificate, and ask clients for theirs, trusting those of [`Postfix::client_ca`].
    pub tls: bool,
    /// More settings of main.cf, which win over the ones above.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// No milter, nobody may log in, everything goes to `next_hop`.
    pub fn new(next_hop: SocketAddr) -> Self {
        Self {
            next_hop,
            milters: Vec::new(),
            non_smtpd_milters: Vec::new(),
            users: Vec::new(),
            tls: false,
            settings: Vec::new(),
        }
    }

    /// Adds a milter behind those already there.
    #[must_use]
    pub fn milter(mut self, address: &str) -> Self {
        self.milters.push(address.to_owned());
        self
    }

    /// Adds a user who may log in.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Sets a parameter of main.cf.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// One message in the queue, as `postqueue -j` shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct Queued {
    pub queue_name: String,
    pub queue_id: String,
    pub arrival_time: i64,
    pub message_size: u64,
    pub sender: String,
    pub recipients: Vec<QueuedRecipient>,
}

/// A recipient of a queued message.
#[derive(Debug, Clone, Deserialize)]
pub struct QueuedRecipient {
    pub address: String,
    pub delay_reason: Option<String>,
}

/// A running instance; it ends, and its directory goes, when this is dropped.
#[derive(Debug)]
pub struct Postfix {
    directory: PathBuf,
    address: SocketAddr,
    _guard: Guard,
}

impl Postfix {
    /// Starts an instance and waits until it answers.
    pub fn start(options: &Options) -> Self {
        demand_root("Postfix");
        let postfix = program("postfix", "postfix");
        let directory = directory("postfix-");
        let address = free_address();
        for name in ["queue", "data"] {
            std::fs::create_dir(directory.join(name)).unwrap();
        }
        let owner = Command::new("chown").arg("postfix").arg(directory.join("data")).status().unwrap();
        assert!(owner.success(), "the system user `postfix` comes with Debian's package postfix");
        write(&directory, "etc/main.cf", main_cf(&directory, options));
        write(&directory, "etc/master.cf", master_cf(address));
        if !options.users.is_empty() {
            add_users(&directory, &options.users);
        }
        if options.tls {
            make_certificates(&directory);
        }
        let started = Command::new(&postfix).arg("-c").arg(directory.join("etc")).arg("start").output().unwrap();
        let log = std::fs::read_to_string(directory.join("maillog")).unwrap_or_default();
        assert!(started.status.success(), "postfix start: {}\n{log}", String::from_utf8_lossy(&started.stderr));
        let instance = Self { _guard: Guard::new(master_pid(&directory), &directory), directory, address };
        // The port is open as soon as the master runs; an answer shows that the configuration is good, too.
        SmtpClient::connect(address).quit();
        instance
    }

    /// Where it accepts mail.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its private directory, which its processes may enter.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory of `main.cf`, for `-c`.
    pub fn config_directory(&self) -> PathBuf {
        self.directory.join("etc")
    }

    /// The certificate authority whose client certificates it trusts, with [`Options::tls`].
    pub fn client_ca(&self) -> ClientCa {
        ClientCa { directory: self.directory.join("tls") }
    }

    /// Sends one message over a connection of its own.
    pub fn send(&self, letter: &Letter) -> Outcome {
        client::send(self.address, letter)
    }

    /// Sends one message over TLS with a client certificate.
    pub fn send_over_tls(&self, letter: &Letter, certificate: &ClientCertificate) -> Outcome {
        client::send_over_tls(self.address, letter, &certificate.certificate, &certificate.key)
    }

    /// Hands a message to the `sendmail` command, as local programs do; its exit code is 0 when it was queued.
    pub fn submit_locally(&self, sender: &str, recipients: &[&str], message: &[u8]) -> i32 {
        let mut sendmail = Command::new(program("sendmail", "postfix"))
            .arg("-C")
            .arg(self.config_directory())
            .args(["-i", "-f", sender, "--"])
            .args(recipients)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        sendmail.stdin.take().unwrap().write_all(message).unwrap();
        sendmail.wait().unwrap().code().unwrap()
    }

    /// Runs one of Postfix's commands (`postqueue`, `postsuper`, `postcat`…) on this instance; its standard output.
    pub fn command(&self, name: &str, arguments: &[&str]) -> String {
        let output = Command::new(program(name, "postfix"))
            .arg("-c")
            .arg(self.config_directory())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Everything in the queue.
    pub fn queue(&self) -> Vec<Queued> {
        self.command("postqueue", &["-j"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What is on hold.
    pub fn held(&self) -> Vec<Queued> {
        self.queue().into_iter().filter(|message| message.queue_name == "hold").collect()
    }

    /// Waits until nothing but held mail is in the queue.
    pub fn wait_until_delivered(&self) {
        wait_for("an empty queue", || self.queue().iter().all(|message| message.queue_name == "hold").then_some(()));
    }

    /// The file of one queued message in its raw form, as `postcat -bhq` shows it.
    pub fn cat(&self, queue_id: &str) -> String {
        self.command("postcat", &["-bhq", queue_id])
    }

    /// Attempts to deliver everything that waits and is not on hold.
    pub fn flush(&self) {
        self.command("postqueue", &["-f"]);
    }

    /// Changes parameters of main.cf and lets the instance read them.
    pub fn reconfigure(&self, settings: &[(&str, &str)]) {
        let assignments: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let assignments: Vec<&str> = assignments.iter().map(String::as_str).collect();
        self.command("postconf", &assignments);
        self.command("postfix", &["reload"]);
    }

    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("maillog")).unwrap_or_default()
    }

    /// Waits for a line of the log that contains `what`.
    pub fn wait_for_log(&self, what: &str) -> String {
        wait_for(&format!("{what:?} in the log of Postfix"), || {
            self.log().lines().find(|line| line.contains(what)).map(str::to_owned)
        })
    }
}

fn main_cf(directory: &Path, options: &Options) -> String {
    let here = directory.display();
    let hop = options.next_hop;
    let mut text = format!(
        "compatibility_level = 3.6\nqueue_directory = {here}/queue\ndata_directory = {here}/data\n\
         multi_instance_name =\nmaillog_file = {here}/maillog\nmaillog_file_prefixes = {here}\n\
         myhostname = {HOSTNAME}\nmydestination =\nlocal_recipient_maps =\nalias_maps =\nalias_database =\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
         smtpd_peername_lookup = no\nlocal_header_rewrite_clients =\nsmtp_dns_support_level = disabled\nsmtp_host_lookup = native\n\
         relayhost = [{}]:{}\nsmtpd_client_connection_count_limit = 0\nmessage_size_limit = 64000000\n",
        hop.ip(),
        hop.port()
    );
    let mut set = |name: &str, value: &str| writeln!(text, "{name} = {value}").unwrap();
    set("smtpd_milters", &options.milters.join(", "));
    set("non_smtpd_milters", &options.non_smtpd_milters.join(", "));
    if !options.users.is_empty() {
        set("smtpd_sasl_auth_enable", "yes");
        set("smtpd_sasl_type", "cyrus");
        set("smtpd_sasl_security_options", "noanonymous");
    }
    if options.tls {
        set("smtpd_tls_security_level", "may");
        set("smtpd_tls_cert_file", &format!("{here}/tls/server.pem"));
        set("smtpd_tls_key_file", &format!("{here}/tls/server.key"));
        set("smtpd_tls_CAfile", &format!("{here}/tls/ca.pem"));
        set("smtpd_tls_ask_ccert", "yes");
    }
    for (name, value) in &options.settings {
        set(name, value);
    }
    text
}

/// Debian's services without chroot, the SMTP server on one address alone.
fn master_cf(address: SocketAddr) -> String {
    let mut text = format!("{address} inet n - n - - smtpd\n");
    text.push_str(
        "pickup unix n - n 1 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\n\
         flush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\nproxywrite unix - - n - 1 proxymap\n\
         smtp unix - - n - - smtp\nrelay unix - - n - - smtp\nshowq unix n - n - - showq\nerror unix - - n - - error\n\
         retry unix - - n - - error\ndiscard unix - - n - - discard\nanvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n",
    );
    text
}

/// The master's pid, which is also the id of the process group of all its children.
fn master_pid(directory: &Path) -> u32 {
    wait_for("the pid file of Postfix", || {
        std::fs::read_to_string(directory.join("queue/pid/master.pid")).ok()?.trim().parse().ok()
    })
}

/// Real logins without another daemon: Cyrus SASL's own password database, in the instance's directory.
fn add_users(directory: &Path, users: &[(String, String)]) {
    // Debian's Postfix looks for Cyrus SASL's configuration below its own, whatever `cyrus_sasl_config_path` says.
    let database = directory.join("etc/sasl/sasldb2");
    write(
        directory,
        "etc/sasl/smtpd.conf",
        format!(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {}\n",
            database.display()
        ),
    );
    for (user, password) in users {
        let mut saslpasswd = Command::new(program("saslpasswd2", "sasl2-bin"))
            .args(["-p", "-c", "-u", HOSTNAME, "-f"])
            .args([&database])
            .arg(user)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        saslpasswd.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        assert!(saslpasswd.wait().unwrap().success(), "saslpasswd2 added {user}");
    }
    let owner = Command::new("chown").arg("postfix").arg(&database).status().unwrap();
    assert!(owner.success());
}

/// A certificate authority of the test's own, and the server's certificate from it.
fn make_certificates(directory: &Path) {
    let ca = ClientCa { directory: directory.join("tls") };
    std::fs::create_dir(&ca.directory).unwrap();
    ca.openssl(
        &["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=Test CA"],
        &["-keyout", "ca.key", "-out", "ca.pem"],
    );
    ca.issue("server", HOSTNAME);
}

/// Issues client certificates that the instance trusts.
#[derive(Debug)]
pub struct ClientCa {
    directory: PathBuf,
}

impl ClientCa {
    /// Makes `name.key` and `name.pem` for a common name.
    pub fn issue(&self, name: &str, common_name: &str) -> ClientCertificate {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        self.openssl(
            &["req", "-new", "-newkey", "ed25519", "-nodes", "-subj", &format!("/CN={common_name}")],
            &["-keyout", &key, "-out", &request],
        );
        self.openssl(
            &["x509", "-req", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
            &["-in", &request, "-out", &certificate],
        );
        ClientCertificate { key: self.directory.join(key), certificate: self.directory.join(certificate) }
    }

    fn openssl(&self, what: &[&str], files: &[&str]) {
        let output = Command::new(program("openssl", "openssl"))
            .args(what)
            .args(files)
            .current_dir(&self.directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "openssl {what:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A client's certificate and key, as files.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    pub key: PathBuf,
    pub certificate: PathBuf,
}
