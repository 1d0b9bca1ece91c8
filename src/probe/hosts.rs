//! The operator's list of hosts that may be asked.
//!
//! Knows names and ports of URLs. Must never know addresses: a name on the list may still lead where nobody may go.

use reqwest::Url;

/// One entry of the list: `shop.example`, `*.shop.example`, `shop.example:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// As a URL writes it: small letters, punycode, IPv6 in brackets.
    name: String,
    /// Every name that ends in `.name`, but not `name` itself.
    below: bool,
    /// `None`: the scheme's own port only.
    port: Option<u16>,
}

impl HostRule {
    /// Reads an entry, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.contains(['/', '?', '#', '@', '*', '\\', '%']) || rest.contains(char::is_whitespace) {
            return Err("is not a host".to_owned());
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let number = port.parse().ok().filter(|number| *number > 0);
                (host, Some(number.ok_or_else(|| format!("has `{port}` where a port should stand"))?))
            }
            Some(_) | None => (rest, None),
        };
        let url = Url::parse(&format!("http://{host}/")).map_err(|why| format!("is not a host: {why}"))?;
        if url.port().is_some() {
            return Err("is not a host: an IPv6 address needs brackets, as in `[2001:db8::1]:8080`".to_owned());
        }
        let name = name(&url).ok_or("is not a host: it is empty")?.to_owned();
        if below && address(&name).is_some() {
            return Err("has `*.` before an address; ranges of addresses are another setting".to_owned());
        }
        Ok(Self { name, below, port })
    }

    /// Whether the entry lets this URL be asked.
    pub fn allows(&self, url: &Url) -> bool {
        let Some(host) = name(url) else { return false };
        let named = match self.below {
            true => host.strip_suffix(&self.name).is_some_and(|head| head.len() > 1 && head.ends_with('.')),
            false => host == self.name,
        };
        named
            && match self.port {
                Some(port) => url.port_or_known_default() == Some(port),
                None => url.port().is_none(),
            }
    }
}

/// The host of a URL without the dot at its end that means the same.
pub(super) fn name(url: &Url) -> Option<&str> {
    let host = url.host_str()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then_some(host)
}

/// The address, if a host is one and not a name.
pub(super) fn address(host: &str) -> Option<std::net::IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, url: &str) -> bool {
        HostRule::parse(rule).unwrap_or_else(|why| panic!("{rule} {why}")).allows(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_name_means_itself_at_the_usual_ports() {
        assert!(allows("shop.example", "https://shop.example/health?deep=1"));
        assert!(allows("Shop.Example", "http://SHOP.example./"));
        assert!(allows("shop.example", "https://shop.example:443/"));
        assert!(allows("bücher.example", "https://xn--bcher-kva.example/"));
        for url in [
            "https://shop.example:8443/",
            "https://www.shop.example/",
            "https://shop.example.evil/",
            "https://evilshop.example/",
            "https://evil/shop.example",
            "https://shop.example@evil/",
        ] {
            assert!(!allows("shop.example", url), "{url}");
        }
    }

    #[test]
    fn a_star_means_every_name_below_and_not_the_name() {
        assert!(allows("*.shop.example", "https://www.shop.example/"));
        assert!(allows("*.shop.example", "https://eu.api.shop.example/"));
        assert!(!allows("*.shop.example", "https://shop.example/"));
        assert!(!allows("*.shop.example", "https://evilshop.example/"));
        assert!(!allows("*.shop.example", "https://www.shop.example:81/"));
        assert!(allows("*.shop.example:81", "https://www.shop.example:81/"));
    }

    #[test]
    fn a_port_means_that_port_only() {
        assert!(allows("shop.example:8443", "https://shop.example:8443/"));
        assert!(allows("shop.example:443", "https://shop.example/"));
        assert!(!allows("shop.example:8443", "https://shop.example/"));
        assert!(allows("[::1]:9090", "http://[0:0:0::1]:9090/"));
        assert!(allows("127.0.0.1:9090", "http://0x7f.1:9090/"), "a URL spells an address in many ways");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "https://shop.example",
            "shop.example/health",
            "user@shop.example",
            "shop.example:0",
            "shop.example:https",
            "shop.example:70000",
            "*.127.0.0.1",
            "a.*.example",
            "shop example",
        ] {
            assert!(HostRule::parse(text).is_err(), "{text}");
        }
    }
}
