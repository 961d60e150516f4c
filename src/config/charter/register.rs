//! The register of senders: who may write, from where, to which lists, and how they prove it.

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::Spanned;

use super::Builder;
use super::raw::RawList;
use super::raw::register::{RawDelegate, RawProof, RawSender};
use super::rules::size_limit;
use crate::charter::{Delegate, Mailbox, Proof, Sender};
use crate::config::codes::Code;
use crate::config::reader::did_you_mean;
use crate::message::address::Address;
use crate::proof;

impl Builder<'_, '_> {
    pub(super) fn sender(&mut self, raw: &RawSender, lists: &[RawList]) -> Option<Sender> {
        let name = raw.name.as_ref();
        let at = name.map_or(raw.span.clone(), Spanned::span);
        let who = name.map_or_else(|| "this sender".to_owned(), |n| format!("the sender `{}`", n.get_ref().0));

        let mailboxes = self.mailboxes(raw);
        if mailboxes.is_empty() && !raw.bad.contains(&"addresses") && !raw.bad.contains(&"mailbox") {
            self.reader.problem(
                Code::SenderWithoutAddress,
                at.clone(),
                format!("{who} has no mailbox"),
                "writes from nowhere",
            );
        }
        let proofs: Vec<_> = raw.proofs.iter().filter_map(|proof| self.proof(proof)).collect();
        self.foreign_domains(raw, &mailboxes);
        if raw.proofs.is_empty() && !raw.bad.contains(&"proofs") {
            let message = format!("{who} has no proof");
            self.reader.problem(Code::SenderWithoutProof, at.clone(), message, "cannot be told from an impostor");
        }
        let bound = self.bound_lists(raw, lists, &who);
        if raw.lists.is_empty() && !lists.is_empty() && !raw.bad.contains(&"lists") {
            let message = format!("{who} is bound to no list");
            self.reader.problem(Code::SenderWithoutList, at, message, "may write nowhere");
        }
        let delegates = raw.delegate.iter().filter_map(|d| self.delegate(d, &mailboxes, &who)).collect();
        let period = raw.period.as_ref().and_then(|p| self.days(p.opens.as_ref(), p.closes.as_ref()));
        Some(Sender {
            name: name?.get_ref().0.clone(),
            mailboxes,
            proofs,
            delegates,
            lists: bound,
            adhered: raw.adhered.as_ref().map(|d| *d.get_ref()),
            period,
            referents: raw.referents.iter().map(|r| r.get_ref().0.clone()).collect(),
        })
    }

    /// The mailboxes of `addresses` and of `[[sender.mailbox]]`, which must not repeat each other.
    fn mailboxes(&mut self, raw: &RawSender) -> Vec<Mailbox> {
        let plain = raw.addresses.iter().map(|address| (address, Vec::new()));
        let sized = raw.mailbox.iter().filter_map(|mailbox| {
            let limits = mailbox.size.iter().flat_map(|many| &many.0);
            Some((mailbox.address.as_ref()?, limits.filter_map(size_limit).collect()))
        });
        let mut mailboxes: Vec<Mailbox> = Vec::new();
        for (address, sizes) in plain.chain(sized) {
            if mailboxes.iter().any(|m| m.address == *address.get_ref()) {
                let message = format!("the mailbox {} is named twice", address.get_ref());
                self.reader.problem(Code::DuplicateMailbox, address.span(), message, "again here");
                continue;
            }
            mailboxes.push(Mailbox { address: address.get_ref().clone(), sizes });
        }
        mailboxes
    }

    fn bound_lists(&mut self, raw: &RawSender, lists: &[RawList], who: &str) -> Vec<Address> {
        let mut bound: Vec<Address> = Vec::new();
        for wanted in &raw.lists {
            let found = lists.iter().find(|list| {
                list.address.iter().chain(&list.aliases).any(|address| address.get_ref() == wanted.get_ref())
            });
            if let Some(list) = found {
                bound.extend(list.address.as_ref().map(|a| a.get_ref().clone()).filter(|a| !bound.contains(a)));
                continue;
            }
            let message = format!("{who} is bound to {}, which is no list of this charter", wanted.get_ref());
            let known: Vec<_> = lists.iter().filter_map(|l| Some(l.address.as_ref()?.get_ref().to_string())).collect();
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            let label = did_you_mean(&wanted.get_ref().to_string(), &known, "no such list");
            self.reader.problem(Code::SenderUnknownList, wanted.span(), message, label);
        }
        bound
    }

    fn proof(&mut self, raw: &RawProof) -> Option<Proof> {
        let mut ways = Vec::new();
        ways.extend(raw.sasl.as_ref().map(|login| Proof::Sasl(login.get_ref().0.clone())));
        if let Some(networks) = &raw.network {
            if networks.0.is_empty() && !self.reader.met_errors() {
                let (message, label) = ("a proof by network names no network".to_owned(), "nobody could write");
                self.reader.problem(Code::ProofProvesNothing, raw.span.clone(), message, label);
            }
            ways.push(Proof::Network(self.networks(&networks.0)));
        }
        ways.extend(raw.tls.as_ref().map(|name| Proof::Tls(name.get_ref().0.clone())));
        ways.extend(raw.dkim.as_ref().map(|domain| Proof::Dkim(domain.get_ref().0.clone())));
        if let Some(results) = &raw.authentication_results {
            let own = results.authserv_id.as_ref().map(|id| id.get_ref().0.clone());
            let authserv_id = own.or_else(|| self.defaults.authserv_id.clone());
            let Some(authserv_id) = authserv_id else {
                let message = "`authentication_results` lacks the key `authserv_id`";
                let label = "neither here nor in the main file: whose results count?";
                self.reader.problem(Code::MissingKey, results.span.clone(), message, label);
                return None;
            };
            let domain = results.domain.as_ref()?.get_ref().0.clone();
            ways.push(Proof::AuthenticationResults { authserv_id, domain });
        }
        let count = ways.len();
        if count != 1 {
            let message = format!("a proof names exactly one way, this one names {count}");
            let label = "put each way between braces of its own";
            self.reader.problem(Code::BadProof, raw.span.clone(), message, label);
        }
        ways.into_iter().next()
    }

    /// Complains of domains that vouch for none of the sender's mailboxes.
    fn foreign_domains(&mut self, raw: &RawSender, mailboxes: &[Mailbox]) {
        let domains = raw.proofs.iter().flat_map(|proof| {
            let results = proof.authentication_results.as_ref();
            proof.dkim.iter().chain(results.and_then(|results| results.domain.as_ref()))
        });
        for domain in domains.filter(|_| !mailboxes.is_empty()) {
            let name = &domain.get_ref().0;
            if !mailboxes.iter().any(|mailbox| proof::aligned(name, &mailbox.address)) {
                let message = format!("{name} vouches for none of the sender's mailboxes");
                self.reader.problem(Code::ProofProvesNothing, domain.span(), message, "another organisation's domain");
            }
        }
    }

    fn networks(&mut self, networks: &[Spanned<IpNet>]) -> Vec<IpNet> {
        let all: Vec<IpNet> = networks.iter().map(|network| *network.get_ref()).collect();
        for network in networks.iter().filter(|network| takes_in_everybody(network.get_ref())) {
            let message = format!("the network {} proves nothing", network.get_ref());
            self.reader.problem(Code::ProofProvesNothing, network.span(), message, "takes in every address");
        }
        if let Some(last) = networks.last()
            && !all.iter().any(takes_in_everybody)
            && IpNet::aggregate(&all).iter().any(takes_in_everybody)
        {
            let message = "these networks together prove nothing".to_owned();
            self.reader.problem(Code::ProofProvesNothing, last.span(), message, "with it they take in every address");
        }
        all
    }

    fn delegate(&mut self, raw: &RawDelegate, own: &[Mailbox], who: &str) -> Option<Delegate> {
        for mailbox in &raw.mailboxes {
            if !own.iter().any(|m| m.address == *mailbox.get_ref()) {
                let message = format!("{} is not a mailbox of {who}", mailbox.get_ref());
                self.reader.problem(Code::UnknownMailbox, mailbox.span(), message, "belongs to somebody else");
            }
        }
        let mut mailboxes: Vec<_> = raw.mailboxes.iter().map(|m| m.get_ref().clone()).collect();
        if mailboxes.is_empty() {
            mailboxes = own.iter().map(|m| m.address.clone()).collect();
        }
        Some(Delegate { login: raw.login.as_ref()?.get_ref().0.clone(), mailboxes })
    }
}

/// Every address of IPv4, also as IPv6 writes it, or every one of IPv6 that anybody has (RFC 4291 section 2.4).
fn takes_in_everybody(network: &IpNet) -> bool {
    let everybody = [
        IpNet::V4(Ipv4Net::default()),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)),
    ];
    everybody.iter().any(|all| network.contains(all))
}
