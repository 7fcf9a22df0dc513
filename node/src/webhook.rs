//! Calls of addresses that clients name: webhooks, and agents' own servers. Such an address may be a trap: it must not point to this machine or its network,
//! unless the operator lists the host (`webhook_hosts`, `endpoint_hosts`). A name is judged by the addresses that it has when it is called,
//! and called by those: one that changes its mind in between gains nothing. Redirects are not followed.

use crate::service::error::{Kind, ServiceError};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use ureq::{
    config::Config,
    http::Uri,
    tls::{RootCerts, TlsConfig},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

/// Characters of an address.
const URL_CHARS_MAX: usize = 2_048;
/// A receiver that takes longer is asked again later.
const ANSWER: Duration = Duration::from_secs(5);

/// Why an address is refused, in words.
type Reason = String;

/// Only what is outside, and what the operator lists.
#[derive(Debug)]
struct Outside {
    allowed: Vec<String>,
    names: DefaultResolver,
}

impl Resolver for Outside {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.names.resolve(uri, config, timeout)?;
        match judge(uri, &addresses, &self.allowed) {
            Ok(()) => Ok(addresses),
            Err(reason) => Err(ureq::Error::Other(reason.into())),
        }
    }
}

fn judge(uri: &Uri, addresses: &[SocketAddr], allowed: &[String]) -> Result<(), Reason> {
    let host = uri.host().unwrap_or_default();
    let with_port = host_of(&uri.to_string()).unwrap_or_default();
    if allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(&with_port)) {
        return Ok(());
    }
    match addresses.iter().find(|address| !is_outside(address.ip())) {
        Some(inside) => Err(format!("{host} is {}, inside this machine's network", inside.ip())),
        None => Ok(()),
    }
}

/// Whether an address is one of the public internet: what is not known to be is not.
fn is_outside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_outside_v4(ip),
        IpAddr::V6(ip) => is_outside_v6(ip),
    }
}

fn is_outside_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special =
        matches!((a, b, c), (0 | 240.., _, _) | (100, 64..=127, _) | (198, 18..=19, _) | (192, 0, 0) | (192, 88, 99));
    !(special
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation())
}

fn is_outside_v6(ip: Ipv6Addr) -> bool {
    if let Some(ip) = ip.to_ipv4_mapped() {
        return is_outside_v4(ip);
    }
    let [a, b, ..] = ip.segments();
    // Global unicast; within it tunnels (2001::/23, 2002::/16), which carry another address, and documentation.
    (0x2000..0x4000).contains(&a)
        && a != 0x2002
        && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
        && (a & 0xfff0) != 0x3ff0
}

fn refused(reason: impl std::fmt::Display) -> ServiceError {
    let detail = format!("the webhook's address is refused: {reason}");
    let next = "name a public http or https address, or ask the operator to list the host in `webhook_hosts`";
    ServiceError::new(Kind::BadInput, "webhook_refused", detail, next)
}

/// Whether a webhook may be posted to, as far as that is known now. Waits for its name.
///
/// # Errors
/// `webhook_refused`.
pub(crate) fn check(url: &str, allowed: &[String]) -> Result<(), ServiceError> {
    judge_address(url, allowed).map_err(refused)
}

/// Host and port of an address, as the operator would list it.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some(format!("{}:{}", uri.host()?, uri.port_u16().unwrap_or(usual)))
}

/// Whether an address may be called, as far as that is known now. Waits for its name.
///
/// # Errors
/// Why not, in words.
pub(crate) fn judge_address(url: &str, allowed: &[String]) -> Result<(), Reason> {
    if url.len() > URL_CHARS_MAX {
        return Err(format!("over {URL_CHARS_MAX} characters"));
    }
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.is_empty() || authority.contains('@') {
        return Err("it is no http or https address of a host".to_owned());
    }
    let resolver = Outside { allowed: allowed.to_vec(), names: DefaultResolver::default() };
    let config = Config::builder().build();
    let timeout = NextTimeout { after: ANSWER.into(), reason: ureq::Timeout::Resolve, ..NextTimeout::default() };
    resolver.resolve(&uri, &config, timeout).map(drop).map_err(|error| error.to_string())
}

/// What carries calls of addresses that clients name; each has so long in all.
pub(crate) fn carrier(allowed: &[String], within: Duration) -> ureq::Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder().root_certs(RootCerts::WebPki).unversioned_rustls_crypto_provider(provider).build();
    let config = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(within))
        .timeout_connect(Some(ANSWER))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .build();
    let resolver = Outside { allowed: allowed.to_vec(), names: DefaultResolver::default() };
    ureq::Agent::with_parts(config, DefaultConnector::default(), resolver)
}

/// Posts JSON, once. Waits for the answer.
///
/// # Errors
/// Why nobody took it, in words.
pub(crate) fn post(url: &str, headers: &[(String, String)], body: &str, allowed: &[String]) -> Result<(), Reason> {
    let mut request = carrier(allowed, ANSWER).post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send(body).map_err(|error| error.to_string())?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_outside() {
        let is_outside = |text: &str| super::is_outside(text.parse().unwrap());
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "192.0.0.8",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_outside(inside), "{inside}");
        }
        for outside in ["1.1.1.1", "8.8.8.8", "100.63.0.1", "100.128.0.1", "2606:4700::1111", "2001:4860::8888"] {
            assert!(is_outside(outside), "{outside}");
        }
    }

    #[test]
    fn a_webhook_points_outside_or_where_the_operator_allows() {
        let listed = ["127.0.0.1:9999", "10.0.0.1", "10.0.0.2:80", "10.0.0.3:443"].map(str::to_owned);
        for url in [
            "http://127.0.0.1:9999/a",
            "http://10.0.0.1:7/",
            "http://10.0.0.2/",
            "https://10.0.0.3/",
            "https://1.1.1.1/",
        ] {
            assert!(check(url, &listed).is_ok(), "{url}");
        }
        for url in [
            "https://10.0.0.2/",
            "http://10.0.0.3/",
            "http://127.0.0.1:9998/a",
            "http://localhost/",
            "http://[::1]/",
            "http://2130706433/",
            "http://169.254.169.254/latest",
            "ftp://1.1.1.1/",
            "file:///etc/passwd",
            "http://user:secret@1.1.1.1/",
            "/relative",
            "",
            &format!("http://1.1.1.1/{}", "x".repeat(URL_CHARS_MAX)),
        ] {
            assert_eq!(check(url, &listed).unwrap_err().code, "webhook_refused", "{url}");
        }
    }
}
