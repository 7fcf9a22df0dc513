//! Every limit of the system, in one place, each with its reason.
//!
//! A length is compared with its limit **before** anything is allocated for it. The relations between limits are
//! asserted at compile time at the end of this file: a limit that no longer fits into another one does not build.
//! Units are in the names: `_BYTES_` bytes, `_MS` milliseconds of ledger time, `_BPS_` basis points.

/// Basis points in a whole.
pub const BPS_WHOLE: u16 = 10_000;
/// One second, in ledger milliseconds.
pub const SECOND_MS: u64 = 1_000;
/// One hour.
pub const HOUR_MS: u64 = 3_600 * SECOND_MS;
/// One day.
pub const DAY_MS: u64 = 24 * HOUR_MS;
/// One year of a name: 365 days, so that a fee is never fractional.
pub const YEAR_MS: u64 = 365 * DAY_MS;

// --- signed messages -----------------------------------------------------------------------------------------------

/// Commands under one signature. One verification (about 60 us) then costs less than a quarter of a microsecond each.
pub const COMMANDS_PER_BATCH_MAX: usize = 256;
/// Payload of a command batch: 256 locks with one payee and the longest condition still fit.
pub const COMMAND_BATCH_BYTES_MAX: usize = 512 * 1024;
/// How far `valid_until` may lie beyond the stamp. Bounds how long request ids are remembered.
pub const VALID_UNTIL_MAX_MS: u64 = DAY_MS;
/// Request ids remembered per signer: 1024 full batches within their validity. A busier signer chooses a shorter one.
pub const REMEMBERED_PER_SIGNER_MAX: usize = 1_024 * COMMANDS_PER_BATCH_MAX;
/// Bytes of an envelope besides its payload: three tags, three lengths, key and signature, rounded up.
pub const ENVELOPE_OVERHEAD_BYTES: usize = 128;
/// Any signed envelope that enters the log.
pub const ENVELOPE_BYTES_MAX: usize = COMMAND_BATCH_BYTES_MAX + ENVELOPE_OVERHEAD_BYTES;
/// One log entry. Many batches share one entry and one fsync; a follower must take it within a heartbeat.
pub const ENTRY_BYTES_MAX: usize = 1_024 * 1_024;
/// Items in one entry. An item costs at least one signature check of about 60 us: 1024 of them are 60 ms of one core.
pub const ENTRY_ITEMS_MAX: usize = 1_024;
/// One frame on a stream, header included: several entries of one AppendEntries, or one snapshot chunk.
pub const FRAME_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// One chunk of a snapshot; small enough that it never delays a heartbeat on a 100 Mbit/s link beyond 100 ms.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1_024 * 1_024;

// --- text ----------------------------------------------------------------------------------------------------------

/// Asset code: upper-case letters and digits.
pub const ASSET_CODE_BYTES_MAX: usize = 12;
/// A name inside a domain, as DNS labels are but shorter: it is typed by hand.
pub const NAME_BYTES_MAX: usize = 32;
/// A nickname; shown in tables.
pub const NICKNAME_BYTES_MAX: usize = 32;
/// A memo; shown on one line.
pub const MEMO_BYTES_MAX: usize = 140;
/// Shortest referral code: below three characters they run out.
pub const CODE_BYTES_MIN: usize = 3;
/// Longest referral code; said aloud and typed.
pub const CODE_BYTES_MAX: usize = 16;
/// A sub-network's label.
pub const GROUP_LABEL_BYTES_MAX: usize = 32;
/// A release condition in words. Longer agreements are referred to by hash.
pub const CONDITION_BYTES_MAX: usize = 1_024;
/// A capability, such as `text.statistics`.
pub const CAPABILITY_BYTES_MAX: usize = 64;
/// What an agent says about itself.
pub const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// A multiaddress or URL.
pub const ENDPOINT_BYTES_MAX: usize = 256;
/// Program name and version in a hello.
pub const AGENT_STRING_BYTES_MAX: usize = 64;
/// Why a task failed, for people.
pub const REASON_BYTES_MAX: usize = 512;
/// Fewest characters of an id prefix on a command line: below it a prefix is a guess.
pub const ID_PREFIX_CHARS_MIN: usize = 4;

// --- money ---------------------------------------------------------------------------------------------------------

/// Highest supply cap of one asset: a million million units at six decimals; 18 of them still fit a u64.
pub const SUPPLY_MAX: u64 = 1_000_000_000_000_000_000;
/// Most decimals of an asset.
pub const SCALE_MAX: u8 = 12;
/// Assets that one domain may create.
pub const ASSETS_PER_DOMAIN_MAX: usize = 64;
/// Hard maximum of any fee, whatever a policy says: a tenth.
pub const FEE_BPS_MAX: u16 = 1_000;
/// Hard maximum of both referral levels together, of the fee: half stays with the treasury.
pub const REFERRAL_BPS_SUM_MAX: u16 = 5_000;
/// Least notice of a policy change.
pub const NOTICE_MIN_MS: u64 = DAY_MS;
/// Farthest announcement of a policy change.
pub const NOTICE_MAX_MS: u64 = YEAR_MS;
/// Announced policies that are not yet in force.
pub const POLICIES_ANNOUNCED_MAX: usize = 16;
/// Years of one name registration or renewal.
pub const NAME_YEARS_MAX: u8 = 10;
/// Names that one agent may own: a name is scarce, a squatter is not served.
pub const NAMES_PER_AGENT_MAX: usize = 64;

// --- escrow --------------------------------------------------------------------------------------------------------

/// Payees of one escrow.
pub const PAYEES_MAX: usize = 16;
/// Milestones of one escrow.
pub const MILESTONES_MAX: usize = 32;
/// Escrows of one payer that are not finished. Bounds the deadline queue.
pub const OPEN_ESCROWS_PER_PAYER_MAX: usize = 131_072;
/// Farthest delivery date after the lock.
pub const DELIVER_WITHIN_MAX_MS: u64 = YEAR_MS;
/// Longest extra time for a submission on its way.
pub const DELIVERY_GRACE_MAX_MS: u64 = 7 * DAY_MS;
/// Delivery grace that a client proposes when payee and payer live in different domains.
pub const DELIVERY_GRACE_REMOTE_MS: u64 = HOUR_MS;
/// How long an escrow or a transfer is remembered after its end; then only the event log knows it. Whatever was signed
/// before the end has expired after one day, so a copy of it finds the record or is `expired`, and never begins again
/// what has ended. The second day is for whoever looks once a day.
pub const ENDED_KEPT_MS: u64 = 2 * DAY_MS;
/// Shortest review: a program may answer in a second.
pub const REVIEW_WINDOW_MIN_MS: u64 = SECOND_MS;
/// Longest review.
pub const REVIEW_WINDOW_MAX_MS: u64 = 90 * DAY_MS;
/// Shortest ruling.
pub const RULING_WINDOW_MIN_MS: u64 = SECOND_MS;
/// Longest ruling.
pub const RULING_WINDOW_MAX_MS: u64 = 90 * DAY_MS;

// --- clock ---------------------------------------------------------------------------------------------------------

/// Due items handled by one pulse. The rest waits for the next one, so an entry stays short.
pub const PULSE_ITEMS_MAX: usize = 1_024;
/// A gap between stamps above this is a stall, and shifts open delivery and review deadlines.
pub const STALL_MS: u64 = 60 * SECOND_MS;
/// Longest time between entries while an escrow deadline is open: a healthy leader never looks like a stall.
pub const PULSE_EVERY_MS: u64 = 20 * SECOND_MS;
/// How far a stamp may run ahead of the median clock of a majority.
pub const CLOCK_AHEAD_MS: u64 = SECOND_MS;
/// A jump of the clock of a domain of one beyond this needs its operator's confirmation.
pub const CLOCK_JUMP_MAX_MS: u64 = 30 * DAY_MS;

// --- settlement ----------------------------------------------------------------------------------------------------

/// Messages under one settlement signature.
pub const SETTLEMENT_BATCH_MAX: usize = 128;
/// Envelope of a batch that carries a prepare, and hence of what a query may embed.
pub const PREPARE_BATCH_BYTES_MAX: usize = 64 * 1_024;
/// Payload of any settlement batch: seven queries, each with its prepare.
pub const SETTLEMENT_BATCH_BYTES_MAX: usize = COMMAND_BATCH_BYTES_MAX;
/// One prepare inside a batch; measured by a test, this is the upper bound.
pub const PREPARE_BYTES_MAX: usize = 384;
/// Transfers on one page of what two domains share.
pub const BOOKS_TRANSFERS_MAX: usize = 64;
/// Signed words on one page, all together.
pub const BOOKS_EVIDENCE_BYTES_MAX: usize = 384 * 1_024;
/// Assets of two domains that a page names.
pub const BOOKS_FIGURES_MAX: usize = 512;
/// Shares of escrows that the treasury has paid to agents of one peer when books were settled, and that no escrow owes yet.
pub const FRONTED_SHARES_MAX: usize = 1_024;
/// A closing statement: a line of at most 160 bytes for each asset of the two domains.
pub const CLOSING_BYTES_MAX: usize = 24 * 1_024;
/// Shortest time from begin to the abort of an undecided transfer: one round trip around the world and two fsyncs.
pub const DECIDE_WITHIN_MIN_MS: u64 = SECOND_MS;
/// Longest: money in flight is of no use to anybody.
pub const DECIDE_WITHIN_MAX_MS: u64 = 600 * SECOND_MS;
/// Transfers with one peer that are not closed. Bounds what a dead peer makes us remember and repeat.
pub const OPEN_TRANSFERS_PER_PEER_MAX: usize = 65_536;
/// Peers of one domain.
pub const TREATIES_MAX: usize = 1_024;
/// Most agents of a peer that a licence may grant: as many cards as a node keeps of one home.
pub const LICENCE_AGENTS_MAX: u32 = 1_000;
/// Most events a minute that a licence may grant.
pub const LICENCE_EVENTS_MAX: u32 = 1_000_000;
/// Longest licence.
pub const LICENCE_VALID_MAX_MS: u64 = 2 * YEAR_MS;
/// Export rules of one domain: each question walks them all.
pub const EXPORT_RULES_MAX: usize = 1_024;
/// Assets of one peer that a treaty names.
pub const EXPOSURE_CAPS_MAX: usize = 64;
/// Capabilities that a charter names.
pub const CHARTER_CAPABILITIES_MAX: usize = 32;
/// Payload of a treaty: two parties with all their caps, and a charter.
pub const TREATY_BYTES_MAX: usize = 14 * 1_024;
/// Payload of a notice about a treaty: two ids and a reason.
pub const NOTICE_BYTES_MAX: usize = 1_024;
/// Payload of a verdict about a transfer: four ids and a reason.
pub const VERDICT_BYTES_MAX: usize = 1_024;
/// Payload of one voter's word about a decision: two ids of domains, one of a transfer, a digest and two numbers.
pub const DECISION_WORD_BYTES_MAX: usize = 192;
/// Payload of an invitation: carried by hand, so it must fit a message.
pub const INVITATION_BYTES_MAX: usize = 2 * 1_024;
/// Nodes that an invitation names.
pub const DOORS_MAX: usize = 8;
/// Invitations remembered at once, used ones among them.
pub const INVITATIONS_MAX: usize = 64;
/// Longest time to accept an invitation.
pub const INVITATION_VALID_MAX_MS: u64 = 30 * DAY_MS;
/// How long an invitation is remembered after its end, so that it is refused by its name.
pub const INVITATION_KEPT_MS: u64 = 7 * DAY_MS;
/// What one domain tells another about a treaty: a document signed twice, a roster, addresses.
pub const TREATY_PUSH_BYTES_MAX: usize = 40 * 1_024;
/// How long a peer's holders can bring its paper back after the last transfer of a draining treaty.
pub const REDEMPTION_MS: u64 = 90 * DAY_MS;

// --- identity ------------------------------------------------------------------------------------------------------

/// Voters in a roster: a domain runs one, three or five; seven leaves room for a replacement under way.
pub const ROSTER_MAX: usize = 7;
/// One link from a root key to the next: the key before, its signature, the agreement of the next one.
pub const ROOT_LINK_BYTES: usize = 32 + 64 + 64;
/// Root keys that may follow the first one: one a year for the life of a machine room, and what a link costs stands in
/// every certificate.
pub const ROOT_LINKS_MAX: usize = 8;
/// Steps of a root key that are kept for peers that have not heard them.
pub const ROOT_WORDS_MAX: usize = 32;
/// What the links add to an envelope, with their tag and length.
pub const ROOT_PATH_BYTES_MAX: usize = ROOT_LINKS_MAX * ROOT_LINK_BYTES + 4;
/// Envelope of a roster.
pub const ROSTER_BYTES_MAX: usize = 1_024 + ROOT_PATH_BYTES_MAX;
/// Payload of a short signed document: session, attestation, payment request.
pub const IDENTITY_BYTES_MAX: usize = 4 * 1_024;
/// Envelope of a node certificate, which travels in heartbeats.
pub const CERTIFICATE_BYTES_MAX: usize = 512 + ROOT_PATH_BYTES_MAX;
/// Payload of a join request with its addresses.
pub const JOIN_BYTES_MAX: usize = 6 * 1_024;
/// Payload of a genesis, which carries a roster and a policy.
pub const GENESIS_BYTES_MAX: usize = 8 * 1_024;
/// Certificates that a domain lists as taken back: only those whose time is not over anyway.
pub const REVOKED_MAX: usize = 64;
/// Payload of such a list.
pub const REVOCATIONS_BYTES_MAX: usize = 1_024;
/// Payload of one step in the life of a key, which carries a node certificate.
pub const KEY_STEP_BYTES_MAX: usize = 2_560;
/// Longest time for which an operator's key that was replaced still counts.
pub const KEY_OVERLAP_MAX_MS: u64 = 30 * DAY_MS;
/// Keys of one holder that are remembered as taken back; the event log has them all.
pub const KEYS_REVOKED_MAX: usize = 16;
/// Longest validity of a node certificate.
pub const CERTIFICATE_VALID_MAX_MS: u64 = 10 * YEAR_MS;
/// Bytes of a session nonce.
pub const NONCE_BYTES: usize = 16;

// --- mesh ----------------------------------------------------------------------------------------------------------

/// Envelope of a card, as gossip carries it; the transmit size of the card topics.
pub const CARD_BYTES_MAX: usize = 16 * 1_024;
/// Capabilities of one agent.
pub const CAPABILITIES_MAX: usize = 32;
/// Addresses in a heartbeat or a join request.
pub const ENDPOINTS_MAX: usize = 16;
/// The JSON document in a domain card: also what one HTTP answer carries and what a verifier reads.
pub const DOMAIN_DOCUMENT_BYTES_MAX: usize = 13 * 1_024;
/// Longest life of a card: an owner that is alive signs again.
pub const CARD_VALID_MAX_MS: u64 = 30 * DAY_MS;
/// Digests in one repair message.
pub const DIGESTS_MAX: usize = 4_096;
/// Cards in one repair reply.
pub const CARDS_PER_REPLY_MAX: usize = 64;
/// Any repair message.
pub const REPAIR_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// Payload of a heartbeat with addresses and certificate.
pub const HEARTBEAT_BYTES_MAX: usize = 6_656;
/// Payload of a note about drift: two ids and two numbers.
pub const DRIFT_NOTE_BYTES_MAX: usize = 128;
/// Payload of a passage: five ids, two numbers and a certificate.
pub const PASSAGE_BYTES_MAX: usize = 512 + CERTIFICATE_BYTES_MAX;
/// Payload of a suspicion: two keys and a number.
pub const SUSPICION_BYTES_MAX: usize = 128;
/// Suspicions of one member that are kept and passed on.
pub const SUSPICIONS_MAX: usize = 8;
/// Members in one page of a list.
pub const MEMBERS_PER_PAGE_MAX: usize = 1_024;
/// Members that are asked for at once.
pub const MEMBERS_PER_REPLY_MAX: usize = 64;
/// Envelopes in one answer: a heartbeat and all suspicions of each.
pub const MEMBER_WORDS_MAX: usize = MEMBERS_PER_REPLY_MAX * (SUSPICIONS_MAX + 1);
/// Any message between neighbours about who lives.
pub const MEMBERS_BYTES_MAX: usize = 640 * 1_024;
/// A hello with certificate, roster and addresses.
pub const HELLO_BYTES_MAX: usize = 10 * 1_024;

// --- tasks ---------------------------------------------------------------------------------------------------------

/// Input of a task. Larger inputs are referred to by address and hash.
pub const TASK_BYTES_MAX: usize = 1_024 * 1_024;
/// What a door wants to remember of a task beside its input.
pub const TASK_NOTE_BYTES_MAX: usize = 64 * 1_024;
/// Result of a task, all chunks together.
pub const RESULT_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// One chunk of progress or result: a stream of several tasks stays fair.
pub const TASK_CHUNK_BYTES: usize = 64 * 1_024;

// --- relay ---------------------------------------------------------------------------------------------------------

/// A question between nodes: at most a task with its note, each with tags and lengths.
pub const QUESTION_BYTES_MAX: usize = TASK_BYTES_MAX + IDENTITY_BYTES_MAX + TASK_NOTE_BYTES_MAX + 64;
/// Payload of a receipt: a roster, two ids, three numbers and an outcome of at most three bytes per command.
pub const RECEIPT_BYTES_MAX: usize = 4 * 1_024;
/// A document about checkpoints: two rosters, two checkpoints, and the longest consistency proof.
pub const AUDIT_DOCUMENT_BYTES_MAX: usize = 8 * 1_024;
/// A proof against a domain: two histories, or two settlement batches of full length without evidence in them.
pub const ACCUSATION_BYTES_MAX: usize = 256 * 1_024;
/// Payload of a cosignature: a roster, two ids, a root and two numbers.
pub const COSIGNATURE_BYTES_MAX: usize = 1_024 + ROSTER_BYTES_MAX;
/// Hashes of a proof about a tree of up to 2^64 leaves: the longest path, and the seed of a proof between two trees.
pub const PROOF_HASHES_MAX: usize = 65;
/// Events of a log that another domain is shown at once. Their proofs cost a few hundred reads.
pub const EXCERPT_EVENTS_MAX: usize = 64;
/// One of them: the end of a transfer, or a closing statement about some dozens of assets. A longer one is not shown.
pub const EXCERPT_EVENT_BYTES_MAX: usize = 16 * 1_024;
/// All of them with their proofs; it is cut off behind an event, never within one.
pub const EXCERPT_BYTES_MAX: usize = 128 * 1_024;
/// The same with the checkpoint that it is proved against, as it enters the log.
pub const PROJECTION_BYTES_MAX: usize = EXCERPT_BYTES_MAX + ROSTER_BYTES_MAX + 512;
/// An answer between nodes: at most an excerpt of a log.
pub const ANSWER_BYTES_MAX: usize = EXCERPT_BYTES_MAX + 16;

/// The relations that hold between limits.
const _: () = {
    assert!(ENVELOPE_BYTES_MAX < ENTRY_BYTES_MAX, "every envelope fits into an entry");
    assert!(SETTLEMENT_BATCH_BYTES_MAX <= COMMAND_BATCH_BYTES_MAX, "a settlement envelope is an envelope");
    assert!(ENTRY_BYTES_MAX * 2 <= FRAME_BYTES_MAX, "an entry and its Raft header fit into a frame");
    assert!(SNAPSHOT_CHUNK_BYTES * 2 <= FRAME_BYTES_MAX, "a snapshot chunk fits into a frame");
    assert!(
        SETTLEMENT_BATCH_MAX * PREPARE_BYTES_MAX + ROSTER_BYTES_MAX + ENVELOPE_OVERHEAD_BYTES * 2
            <= PREPARE_BATCH_BYTES_MAX,
        "a full batch of prepares can be embedded in a query"
    );
    assert!(
        7 * (PREPARE_BATCH_BYTES_MAX + 64) + ROSTER_BYTES_MAX + 256 <= SETTLEMENT_BATCH_BYTES_MAX,
        "seven queries fit into one batch"
    );
    assert!(
        BOOKS_TRANSFERS_MAX * (PREPARE_BYTES_MAX + 64)
            + BOOKS_EVIDENCE_BYTES_MAX
            + BOOKS_FIGURES_MAX * 64
            + ROSTER_BYTES_MAX
            + 4_096
            <= SETTLEMENT_BATCH_BYTES_MAX,
        "a full page of shared transfers fits"
    );
    assert!(2 * ASSETS_PER_DOMAIN_MAX * 160 + 256 <= CLOSING_BYTES_MAX, "a statement with every asset of both fits");
    assert!(
        ROSTER_MAX * (32 + 2 + 1) + 66 + ENVELOPE_OVERHEAD_BYTES + ROOT_PATH_BYTES_MAX <= ROSTER_BYTES_MAX,
        "a full roster fits"
    );
    assert!(ROOT_LINKS_MAX * ROOT_LINK_BYTES <= CERTIFICATE_BYTES_MAX, "all links fit into a step of a root key");
    assert!(REVOKED_MAX * 10 + 64 <= REVOCATIONS_BYTES_MAX, "a full list of revocations fits");
    assert!(CERTIFICATE_BYTES_MAX + REASON_BYTES_MAX + 128 <= KEY_STEP_BYTES_MAX, "a step with a certificate fits");
    assert!(ROSTER_MAX % 2 == 1, "an even number of voters tolerates no more than one fewer");
    assert!(CARDS_PER_REPLY_MAX * (CARD_BYTES_MAX + 8) <= REPAIR_BYTES_MAX, "a repair reply fits");
    assert!(DIGESTS_MAX * 96 <= REPAIR_BYTES_MAX, "a digest list fits");
    assert!(REPAIR_BYTES_MAX < FRAME_BYTES_MAX, "a repair message fits into a frame");
    assert!(TASK_BYTES_MAX + IDENTITY_BYTES_MAX < FRAME_BYTES_MAX, "a task fits into a frame");
    assert!(TASK_CHUNK_BYTES < FRAME_BYTES_MAX, "a task chunk fits into a frame");
    assert!(RESULT_BYTES_MAX >= TASK_CHUNK_BYTES, "a result has room for one chunk");
    assert!(
        ENDPOINTS_MAX * (ENDPOINT_BYTES_MAX + 3) + CERTIFICATE_BYTES_MAX + 256 <= HEARTBEAT_BYTES_MAX,
        "the longest heartbeat fits"
    );
    assert!(ENDPOINTS_MAX * (ENDPOINT_BYTES_MAX + 3) + 256 <= JOIN_BYTES_MAX, "the longest join request fits");
    assert!(
        MEMBERS_PER_REPLY_MAX
            * (HEARTBEAT_BYTES_MAX
                + SUSPICIONS_MAX * (SUSPICION_BYTES_MAX + ENVELOPE_OVERHEAD_BYTES + 4)
                + ENVELOPE_OVERHEAD_BYTES
                + 4)
            + 16
            <= MEMBERS_BYTES_MAX,
        "the longest words about members fit"
    );
    assert!(MEMBERS_PER_PAGE_MAX * 56 + 16 <= MEMBERS_BYTES_MAX, "a page of members fits");
    assert!(
        HEARTBEAT_BYTES_MAX + AGENT_STRING_BYTES_MAX + ROSTER_BYTES_MAX <= HELLO_BYTES_MAX,
        "the longest hello fits"
    );
    assert!(
        CAPABILITIES_MAX * (CAPABILITY_BYTES_MAX + 3) + DESCRIPTION_BYTES_MAX * 2 + IDENTITY_BYTES_MAX < CARD_BYTES_MAX,
        "the longest agent card fits"
    );
    assert!(
        DOMAIN_DOCUMENT_BYTES_MAX + ROSTER_BYTES_MAX + ENVELOPE_OVERHEAD_BYTES + 128 <= CARD_BYTES_MAX,
        "the longest domain card fits"
    );
    assert!(
        2 * (EXPOSURE_CAPS_MAX * 84 + NICKNAME_BYTES_MAX + 128)
            + CHARTER_CAPABILITIES_MAX * (CAPABILITY_BYTES_MAX + 3)
            + 128
            <= TREATY_BYTES_MAX,
        "the longest treaty fits"
    );
    assert!(
        2 * (TREATY_BYTES_MAX + ROOT_PATH_BYTES_MAX)
            + ENDPOINTS_MAX * (ENDPOINT_BYTES_MAX + 3)
            + ROSTER_BYTES_MAX
            + 512
            <= TREATY_PUSH_BYTES_MAX,
        "the longest push fits"
    );
    assert!(DOORS_MAX * 64 < INVITATION_BYTES_MAX && REASON_BYTES_MAX + 256 <= NOTICE_BYTES_MAX, "short ones fit");
    assert!(TREATY_PUSH_BYTES_MAX < COMMAND_BATCH_BYTES_MAX, "a push fits where a command batch does");
    assert!(RECEIPT_BYTES_MAX + ENVELOPE_OVERHEAD_BYTES + 16 <= ANSWER_BYTES_MAX, "a receipt fits into an answer");
    assert!(AUDIT_DOCUMENT_BYTES_MAX + 16 <= ANSWER_BYTES_MAX, "a document about checkpoints fits into an answer");
    assert!(
        EXCERPT_EVENT_BYTES_MAX + 2 * PROOF_HASHES_MAX * 34 + 64 <= EXCERPT_BYTES_MAX,
        "the longest event fits into an excerpt with its proof"
    );
    assert!(PROJECTION_BYTES_MAX <= ENVELOPE_BYTES_MAX, "an excerpt fits into an entry's item");
    assert!(2 * ROSTER_BYTES_MAX + 65 * 32 + 512 <= AUDIT_DOCUMENT_BYTES_MAX, "the longest extension fits");
    assert!(AUDIT_DOCUMENT_BYTES_MAX < ACCUSATION_BYTES_MAX, "two histories are an accusation");
    assert!(2 * PREPARE_BATCH_BYTES_MAX < ACCUSATION_BYTES_MAX, "two full batches are one, too");
    assert!(ACCUSATION_BYTES_MAX + 16 < QUESTION_BYTES_MAX, "an accusation fits into a question");
    assert!(QUESTION_BYTES_MAX < FRAME_BYTES_MAX, "a question fits into a frame");
    assert!(ENVELOPE_BYTES_MAX + 16 <= QUESTION_BYTES_MAX, "a command envelope fits into a question");
    assert!(COMMANDS_PER_BATCH_MAX * 3 + ROSTER_BYTES_MAX + 128 <= RECEIPT_BYTES_MAX, "the longest receipt fits");
    assert!(FEE_BPS_MAX < BPS_WHOLE && REFERRAL_BPS_SUM_MAX <= BPS_WHOLE, "shares are parts of a whole");
    assert!(SUPPLY_MAX < u64::MAX / 16, "a sum of a few supplies still fits a u64");
    assert!(PULSE_EVERY_MS * 2 < STALL_MS, "two missed pulses are not yet a stall");
    assert!(
        DECIDE_WITHIN_MIN_MS < DECIDE_WITHIN_MAX_MS && DECIDE_WITHIN_MAX_MS < VALID_UNTIL_MAX_MS,
        "a transfer ends within a day"
    );
    assert!(
        REVIEW_WINDOW_MIN_MS < REVIEW_WINDOW_MAX_MS && RULING_WINDOW_MIN_MS < RULING_WINDOW_MAX_MS,
        "windows are ranges"
    );
    assert!(
        VALID_UNTIL_MAX_MS + DECIDE_WITHIN_MAX_MS < ENDED_KEPT_MS,
        "a command has expired before what it was about is forgotten"
    );
    assert!(NOTICE_MIN_MS < NOTICE_MAX_MS, "notice is a range");
    assert!(CLOCK_AHEAD_MS < STALL_MS && STALL_MS < CLOCK_JUMP_MAX_MS, "clock limits are ordered");
    assert!(PAYEES_MAX <= u16::MAX as usize, "payee indices are u16");
    assert!(MILESTONES_MAX <= u16::MAX as usize, "milestone indices are u16");
    assert!(COMMANDS_PER_BATCH_MAX <= REMEMBERED_PER_SIGNER_MAX, "one batch is always remembered");
};
