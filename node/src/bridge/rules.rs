//! Between whom a gateway passes, and how much. Pure: the caller tells the time.

use super::refused::BridgeRefused;
use crate::{
    home::Home,
    service::error::{Kind, ServiceError},
};
use comity_proto::{envelope::Signed as _, identity::NodeCertificate, ids::DomainId};
use std::collections::BTreeMap;

/// Frames of one pair in a second, both ways together. A frame holds many messages.
const FRAMES_PER_SECOND: u32 = 200;
/// Bytes of one pair in a second, both ways together.
const BYTES_PER_SECOND: usize = 8 * 1_024 * 1_024;
/// Frames of one pair that wait for their answers.
const UNDER_WAY: u32 = 32;
const SECOND_MS: u64 = 1_000;

/// Two domains, the lower id first.
pub(crate) type Pair = (DomainId, DomainId);

/// The pair of these two.
pub(crate) fn pair(one: DomainId, other: DomainId) -> Pair {
    (one.min(other), one.max(other))
}

/// What has passed between two domains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Frames and bytes since the start.
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Frames refused since the start.
    pub(crate) refused: u64,
    second_began_ms: u64,
    second_frames: u32,
    second_bytes: usize,
    under_way: u32,
}

/// The operator's rules, with what is used of them.
#[derive(Debug, Default)]
pub(crate) struct Rules(BTreeMap<Pair, Passed>);

impl Rules {
    /// As a node was told.
    ///
    /// # Errors
    /// `bridge_names_own_domain`, `bridge_needs_gateway_role`.
    pub(crate) fn of(home: &Home) -> Result<Rules, ServiceError> {
        let rules = Rules(
            home.config.bridge.iter().map(|rule| (pair(rule.between.0, rule.between.1), Passed::default())).collect(),
        );
        let own = home.domain();
        if rules.pairs().any(|(one, other)| one == own || other == own) {
            let detail = "a gateway passes between two other domains: its own needs no bridge";
            return Err(ServiceError::bad_input("bridge_names_own_domain", detail));
        }
        let is_gateway =
            NodeCertificate::open(&home.certificate).is_ok_and(|certificate| certificate.get().roles.gateway);
        if !rules.is_empty() && !is_gateway {
            let detail = "the certificate of this node does not make it a gateway";
            let next = "certify it with the role gateway, or take [[bridge]] out of its config.toml";
            return Err(ServiceError::new(Kind::Refused, "bridge_needs_gateway_role", detail, next));
        }
        Ok(rules)
    }

    /// Whether this node is no gateway.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All pairs.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> + '_ {
        self.0.keys().copied()
    }

    /// All pairs with what passed.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Pair, &Passed)> {
        self.0.iter()
    }

    /// Takes a place for a frame of so many bytes; [`Rules::done`] gives it back.
    pub(crate) fn begin(&mut self, pair: Pair, bytes: usize, now_ms: u64) -> Result<(), BridgeRefused> {
        let passed = self.0.get_mut(&pair).ok_or(BridgeRefused::NoRule)?;
        if now_ms >= passed.second_began_ms.saturating_add(SECOND_MS) {
            *passed = Passed { second_began_ms: now_ms, second_frames: 0, second_bytes: 0, ..*passed };
        }
        let verdict = if passed.second_frames >= FRAMES_PER_SECOND || passed.second_bytes + bytes > BYTES_PER_SECOND {
            Err(BridgeRefused::OverQuota)
        } else if passed.under_way >= UNDER_WAY {
            Err(BridgeRefused::Busy)
        } else {
            Ok(())
        };
        match verdict {
            Ok(()) => {
                (passed.second_frames, passed.under_way) = (passed.second_frames + 1, passed.under_way + 1);
                passed.second_bytes += bytes;
                passed.frames += 1;
                passed.bytes += bytes as u64;
            }
            Err(_) => passed.refused += 1,
        }
        verdict
    }

    /// A frame has its answer, or none will come.
    pub(crate) fn done(&mut self, pair: Pair) {
        if let Some(passed) = self.0.get_mut(&pair) {
            passed.under_way = passed.under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{BridgeRule, Config, HTTP_DEFAULT, MESH_DEFAULT},
        home::voter,
    };
    use comity_proto::identity::Roles;
    use std::path::Path;

    const ONE: DomainId = DomainId([1; 32]);
    const OTHER: DomainId = DomainId([2; 32]);

    fn rules() -> Rules {
        Rules(BTreeMap::from([(pair(OTHER, ONE), Passed::default())]))
    }

    #[test]
    fn only_named_pairs_pass_in_both_directions() {
        let mut rules = rules();
        assert_eq!(rules.begin(pair(ONE, OTHER), 1, 0), Ok(()));
        assert_eq!(rules.begin(pair(OTHER, ONE), 1, 0), Ok(()));
        assert_eq!(rules.begin(pair(ONE, DomainId([3; 32])), 1, 0), Err(BridgeRefused::NoRule));
    }

    fn home(between: (DomainId, DomainId), roles: Roles) -> Home {
        crate::runtime::tests_world();
        let config = Config::alone("acme", HTTP_DEFAULT.parse().unwrap(), MESH_DEFAULT.parse().unwrap());
        let config = Config { bridge: vec![BridgeRule { between }], ..config };
        let mut home = Home::alone(Path::new("nowhere"), config, 1).unwrap();
        let keys = home.domain_keys.as_ref().expect("a founder");
        home.certificate = keys.certify(home.node.public(), roles, 1, 1);
        home
    }

    #[test]
    fn a_gateway_is_certified_as_one_and_stands_between_two_others() {
        let told = |home: &Home| Rules::of(home).map(|rules| rules.pairs().count()).map_err(|error| error.code);
        assert_eq!(told(&home((ONE, OTHER), voter())), Ok(1));
        let plain = Roles { gateway: false, ..voter() };
        assert_eq!(told(&home((ONE, OTHER), plain)), Err("bridge_needs_gateway_role".to_owned()));
        let mut own = home((ONE, OTHER), voter());
        own.config.bridge = vec![BridgeRule { between: (ONE, own.domain()) }];
        assert_eq!(told(&own), Err("bridge_names_own_domain".to_owned()));
    }

    #[test]
    fn so_many_wait_for_their_answers_and_no_more() {
        let mut rules = rules();
        (0..UNDER_WAY).for_each(|_| assert_eq!(rules.begin(pair(ONE, OTHER), 1, 0), Ok(())));
        assert_eq!(rules.begin(pair(ONE, OTHER), 1, 0), Err(BridgeRefused::Busy));
        rules.done(pair(OTHER, ONE));
        assert_eq!(rules.begin(pair(ONE, OTHER), 1, 0), Ok(()));
    }

    #[test]
    fn a_second_has_an_end_of_frames_and_of_bytes_and_the_next_one_begins_anew() {
        let mut rules = rules();
        for _ in 0..FRAMES_PER_SECOND {
            assert_eq!(rules.begin(pair(ONE, OTHER), 1, 5), Ok(()));
            rules.done(pair(ONE, OTHER));
        }
        assert_eq!(rules.begin(pair(ONE, OTHER), 1, 999), Err(BridgeRefused::OverQuota));
        assert_eq!(rules.begin(pair(ONE, OTHER), BYTES_PER_SECOND, 1_000), Ok(()));
        assert_eq!(rules.begin(pair(ONE, OTHER), 1, 1_000), Err(BridgeRefused::OverQuota));
        let (_, passed) = rules.all().next().expect("a pair");
        assert_eq!((passed.frames, passed.refused), (u64::from(FRAMES_PER_SECOND) + 1, 2));
    }
}
