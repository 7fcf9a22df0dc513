//! Money between two PostgreSQL clusters: what an application that coordinates them itself can do safely.

use super::Cluster;
use crate::bench::{
    BenchError,
    driver::{Client, DiskCount, Target},
};
use tokio_postgres::{Client as Connection, NoTls, Statement, types::ToSql};

/// Two transfers can wait for each other's votes in two clusters, and neither cluster can see it: only giving up helps.
const LOCK_TIMEOUT: &str = "500ms";

/// Funded accounts of the schema are 1 to this.
const ACCOUNTS: u64 = 100_000;

/// How the two sides agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Textbook two-phase commit with presumed abort: prepare both, a durable decision, commit both. Five durable writes.
    Logged,
    /// Prepare the payee's side, then one commit of debit and decision at the payer's, then commit the payee's. Three.
    LastAgent,
}

/// Transfers from accounts of one cluster to accounts of another.
pub struct TwoClusters<'a> {
    /// Where money leaves; it decides.
    pub payer: &'a Cluster,
    /// Where money arrives.
    pub payee: &'a Cluster,
    /// How they agree.
    pub protocol: Protocol,
    /// All pay one account.
    pub hot: bool,
}

impl Target for TwoClusters<'_> {
    type Client = Pair;

    async fn clients(&self, count: usize) -> Result<Vec<Pair>, BenchError> {
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let payer = Side::connect(self.payer.port()).await?;
            let payee = Side::connect(self.payee.port()).await?;
            let decide = payer.prepare("INSERT INTO decisions(gid, outcome) VALUES ($1, 'commit')").await?;
            let debit_and_decide = payer.prepare("SELECT debit_and_decide($1::text, $2::bigint, $3::bigint)").await?;
            pairs.push(Pair { payer, payee, decide, debit_and_decide, protocol: self.protocol, hot: self.hot });
        }
        Ok(pairs)
    }

    async fn disks(&self) -> Option<DiskCount> {
        let (a, b) = (self.payer.disks().await?, self.payee.disks().await?);
        Some(DiskCount { syncs: a.syncs + b.syncs, bytes: a.bytes + b.bytes })
    }
}

/// One caller with a connection to each side.
pub struct Pair {
    payer: Side,
    payee: Side,
    decide: Statement,
    debit_and_decide: Statement,
    protocol: Protocol,
    hot: bool,
}

impl Client for Pair {
    async fn call(&mut self) -> Result<u64, BenchError> {
        let mut order = Order::random();
        if self.hot {
            order.to = 1;
        }
        let done = match self.protocol {
            Protocol::Logged => self.logged(&order).await,
            Protocol::LastAgent => self.last_agent(&order).await,
        };
        match done {
            Ok(()) => Ok(1),
            Err(error) => {
                self.abort(&order).await;
                Err(BenchError::new("moving money between clusters", describe(&error)))
            }
        }
    }
}

impl Pair {
    async fn logged(&self, order: &Order) -> Result<(), tokio_postgres::Error> {
        let debit = self.payer.prepare_move(&order.id, order.from, -order.amount);
        let credit = self.payee.prepare_move(&order.id, order.to, order.amount);
        // Both are waited for: giving up on one that is still running would leave its vote behind.
        let (debited, credited) = tokio::join!(debit, credit);
        debited.and(credited)?;
        self.payer.connection.execute(&self.decide, &[&order.id]).await?;
        let (left, arrived) = tokio::join!(self.payer.commit(&order.id), self.payee.commit(&order.id));
        left.and(arrived)
    }

    async fn last_agent(&self, order: &Order) -> Result<(), tokio_postgres::Error> {
        self.payee.prepare_move(&order.id, order.to, order.amount).await?;
        let debit: [&(dyn ToSql + Sync); 3] = [&order.id, &order.from, &order.amount];
        self.payer.connection.execute(&self.debit_and_decide, &debit).await?;
        self.payee.commit(&order.id).await
    }

    /// Takes back what the two sides of a failed transfer hold. Both mostly hold nothing; that is not an error.
    async fn abort(&self, order: &Order) {
        for side in [&self.payer, &self.payee] {
            let _ = side.connection.batch_execute("ROLLBACK").await;
            let _ = side.connection.batch_execute(&format!("ROLLBACK PREPARED '{}'", order.id)).await;
        }
    }
}

/// The server's words, which the error itself leaves out.
fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |server| server.message().to_owned())
}

/// One random transfer.
struct Order {
    id: String,
    from: i64,
    to: i64,
    amount: i64,
}

impl Order {
    fn random() -> Order {
        let mut bytes = [0u8; 40];
        comity_runtime::entropy(&mut bytes);
        let number = |at: usize, below: u64| {
            let word: [u8; 8] = std::array::from_fn(|i| bytes[at + i]);
            1 + i64::try_from(u64::from_le_bytes(word) % below).unwrap_or(0)
        };
        let id = data_encoding::HEXLOWER.encode(&bytes[24..]);
        Order { id, from: number(0, ACCOUNTS), to: number(8, ACCOUNTS), amount: number(16, 10) }
    }
}

struct Side {
    connection: Connection,
    move_funds: Statement,
}

impl Side {
    async fn connect(port: u16) -> Result<Side, BenchError> {
        let bad = |e: tokio_postgres::Error| BenchError::new("connecting to PostgreSQL", e.to_string());
        let address =
            format!("host=127.0.0.1 port={port} user=bench dbname=bench options='-c lock_timeout={LOCK_TIMEOUT}'");
        let (connection, driver) = tokio_postgres::connect(&address, NoTls).await.map_err(bad)?;
        // Ends when the connection is dropped.
        let _detached = comity_runtime::spawn(async move {
            let _ = driver.await;
        });
        let query = "SELECT move_funds($1::text, $2::bigint, $3::bigint)";
        let move_funds = connection.prepare(query).await.map_err(bad)?;
        Ok(Side { connection, move_funds })
    }

    async fn prepare(&self, query: &str) -> Result<Statement, BenchError> {
        let prepared = self.connection.prepare(query).await;
        prepared.map_err(|e| BenchError::new("preparing a statement", e.to_string()))
    }

    /// `BEGIN; move_funds; PREPARE TRANSACTION`, sent at once on one connection.
    async fn prepare_move(&self, id: &str, account: i64, delta: i64) -> Result<(), tokio_postgres::Error> {
        let vote = format!("PREPARE TRANSACTION '{id}'");
        let parameters: [&(dyn ToSql + Sync); 3] = [&id, &account, &delta];
        let begin = self.connection.batch_execute("BEGIN");
        let work = self.connection.execute(&self.move_funds, &parameters);
        let (begun, moved, voted) = tokio::join!(begin, work, self.connection.batch_execute(&vote));
        begun?;
        moved?;
        voted
    }

    async fn commit(&self, id: &str) -> Result<(), tokio_postgres::Error> {
        self.connection.batch_execute(&format!("COMMIT PREPARED '{id}'")).await
    }
}
