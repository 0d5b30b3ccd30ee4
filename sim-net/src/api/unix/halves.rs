//! Halves of a Unix stream.

use super::stream::{Unix, UnixStream};
use crate::api::connection::Connection;
use crate::api::split::{half, halves, readable, writable};
use crate::unix::SocketAddr;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

halves!(UnixStream, Unix, SocketAddr);
