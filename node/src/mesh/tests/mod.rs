//! Real swarms on the loopback interface, each with a domain, a certificate and a port of its own.

mod cards;
mod hello;
mod members;
mod reach;
mod restart;
mod streams;
mod support;
