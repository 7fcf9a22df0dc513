//! Settlement between real ledgers: rules one by one, every order of one transfer, and many at random.

mod accuse;
mod across;
mod checker;
mod closing;
mod exhaustive;
mod payouts;
mod random;
mod restore;
mod restored_escrows;
mod rules;
mod statements;
mod three;
mod verdicts;
mod world;
