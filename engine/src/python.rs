//! The Python module `iris._engine`: the only file that knows Python. src/iris/_engine.pyi is its typed face.
//!
//! Engine threads never hold the GIL; `drain` and `send` hold it only to build and to read tuples, once per batch.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::codec::{self, pb, ClientFrame, Encoder, Form};
use crate::engine::{self, Error, Options};
use crate::floor::{Done, Relay};
use crate::handover::Event;
use crate::limits::Limits;
use crate::load;
use crate::log_sync;
use crate::proxy::Network;
use crate::stats::STATES;
use crate::{sys, tls};

create_exception!(
    _engine,
    EngineError,
    PyException,
    "The engine cannot do what was asked: its options or the order of calls are wrong."
);

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Wrong(why) => EngineError::new_err(why),
            Error::Io(error) => match error.raw_os_error() {
                Some(number) => PyOSError::new_err((number, error.to_string())),
                None => PyOSError::new_err(error.to_string()),
            },
        }
    }
}

/// Sockets, TLS, WebSocket and the codec of frames.
#[pyclass(frozen, module = "iris._engine")]
struct Engine(engine::Engine);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, host, port, threads, certificate, key, tls12, api_path, proxy_from, limits))]
    #[allow(clippy::too_many_arguments)] // all by keyword
    fn new(
        host: &str,
        port: u16,
        threads: usize,
        certificate: Option<Vec<u8>>,
        key: Option<Vec<u8>>,
        tls12: bool,
        api_path: Option<PathBuf>,
        proxy_from: Vec<String>,
        limits: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(PyValueError::new_err(
                    "a certificate and its key are needed together",
                ))
            }
        };
        let proxy_from = proxy_from
            .iter()
            .map(|text| Network::read(text))
            .collect::<Result<_, _>>();
        let mut chosen = Limits::default();
        for (name, value) in limits {
            chosen
                .set(&name.extract::<String>()?, value.extract()?)
                .map_err(PyValueError::new_err)?;
        }
        let options = Options {
            host: address(host)?,
            port,
            threads,
            identity,
            tls12,
            api: api_path,
            proxy_from: proxy_from.map_err(PyValueError::new_err)?,
            limits: chosen,
        };
        Ok(Self(engine::Engine::new(options)?))
    }

    fn start(&self) -> PyResult<()> {
        Ok(self.0.start()?)
    }

    #[getter]
    fn port(&self) -> u16 {
        self.0.port()
    }

    fn fileno(&self) -> i32 {
        self.0.fd()
    }

    #[pyo3(signature = (logins_max))]
    fn drain<'py>(&self, py: Python<'py>, logins_max: usize) -> PyResult<Bound<'py, PyList>> {
        let events = self.0.drain(logins_max);
        let tuples = events
            .into_iter()
            .map(|event| tuple(py, event))
            .collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, tuples)
    }

    #[pyo3(signature = (frames))]
    fn send(&self, frames: &Bound<'_, PyList>) -> PyResult<()> {
        let mut batch = self.0.batch();
        for frame in frames {
            add_frame(&mut batch, frame.cast::<PyTuple>()?)?;
        }
        batch.send();
        Ok(())
    }

    #[pyo3(signature = (certificate, key))]
    fn reload_certificate(&self, certificate: &[u8], key: &[u8]) -> PyResult<()> {
        Ok(self.0.reload_certificate(certificate, key)?)
    }

    fn stop_accepting(&self) {
        self.0.stop_accepting();
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let totals = self.0.totals();
        let stats = PyDict::new(py);
        for (name, count) in &totals.counters {
            stats.set_item(name, count)?;
        }
        let by_kind = |counts: &[u64]| -> PyResult<Bound<'py, PyDict>> {
            let dict = PyDict::new(py);
            for (kind, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                dict.set_item(kind, count)?;
            }
            Ok(dict)
        };
        stats.set_item("frames_in", by_kind(&totals.frames_in)?)?;
        stats.set_item("frames_out", by_kind(&totals.frames_out)?)?;
        let states = PyDict::new(py);
        for (state, count) in STATES.iter().zip(totals.states) {
            states.set_item(state, count.cast_signed().max(0))?;
        }
        stats.set_item("states", states)?;
        stats.set_item("closed", totals.closed)?;
        stats.set_item("refused", totals.refused)?;
        let cpu = self.0.cpu_seconds();
        stats.set_item("cpu_seconds_total", cpu.iter().sum::<f64>())?;
        stats.set_item("thread_cpu_seconds", cpu)?;
        Ok(stats)
    }
}

/// The thread that makes RocksDB's log durable; see log_sync.rs.
#[pyclass(frozen, module = "iris._engine")]
struct LogSync(log_sync::LogSync);

#[pymethods]
impl LogSync {
    #[new]
    fn new(folder: PathBuf) -> PyResult<Self> {
        Ok(Self(log_sync::LogSync::new(folder)?))
    }

    fn fileno(&self) -> i32 {
        self.0.fd()
    }

    fn sync(&self) -> PyResult<()> {
        if self.0.sync() {
            return Ok(());
        }
        Err(EngineError::new_err(
            "the last outcome was not taken yet, or the thread was stopped",
        ))
    }

    fn take<'py>(&self, py: Python<'py>) -> Option<(Option<Bound<'py, PyAny>>, f64)> {
        let outcome = self.0.take()?;
        let error = outcome.result.err().map(|error| {
            let error = PyErr::from(Error::Io(error));
            error.into_value(py).into_bound(py).into_any()
        });
        Some((error, outcome.seconds))
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

fn address(host: &str) -> PyResult<IpAddr> {
    match host {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => host
            .parse()
            .map_err(|_| PyValueError::new_err(format!("{host:?} is not an IP address"))),
    }
}

/// An event as the tuple that src/iris/core/frames.py describes.
fn tuple(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Hello {
            conn,
            hello,
            address,
        } => {
            let pb::Hello {
                token,
                cursor,
                features,
                client,
            } = hello;
            let cursor = cursor.unwrap_or_default();
            let features = PyTuple::new(py, features)?;
            (
                1, conn, token, cursor.seq, cursor.rev, features, client, address,
            )
                .into_pyobject(py)
        }
        Event::Closed { conn, code } => (codec::KIND_CLOSE, conn, code).into_pyobject(py),
        Event::Frame { conn, frame } => {
            let kind = codec::kind(&frame);
            match frame {
                ClientFrame::Send(send) => {
                    let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
                    let (conversation, message_id) =
                        (bytes(&send.conversation), bytes(&send.message_id));
                    let payload = bytes(&send.payload);
                    let numbers = (send.stream, send.client_seq, send.answered);
                    (
                        kind,
                        conn,
                        conversation,
                        numbers.0,
                        numbers.1,
                        numbers.2,
                        message_id,
                        send.after,
                        payload,
                        send.content_type,
                        send.alg,
                    )
                        .into_pyobject(py)
                }
                ClientFrame::Ack(ack) => (kind, conn, ack.seq, ack.rev).into_pyobject(py),
                ClientFrame::Read(read) => {
                    (kind, conn, PyBytes::new(py, &read.conversation), read.seq).into_pyobject(py)
                }
                ClientFrame::Typing(typing) => (
                    kind,
                    conn,
                    PyBytes::new(py, &typing.conversation),
                    typing.active,
                )
                    .into_pyobject(py),
                ClientFrame::Watch(watch) => {
                    let users =
                        PyTuple::new(py, watch.users.iter().map(|user| PyBytes::new(py, user)))?;
                    (kind, conn, users).into_pyobject(py)
                }
                ClientFrame::Refresh(refresh) => (kind, conn, refresh.token).into_pyobject(py),
                ClientFrame::Hello(_) => unreachable!("a Hello is an event of its own"),
            }
        }
    }
}

fn add_frame(batch: &mut engine::Frames<'_>, frame: &Bound<'_, PyTuple>) -> PyResult<()> {
    let size = frame.len();
    if size < 2 {
        return Err(PyValueError::new_err(
            "a frame begins with its kind and connection",
        ));
    }
    let kind: u8 = frame.get_borrowed_item(0)?.extract()?;
    let conn: u64 = frame.get_borrowed_item(1)?.extract()?;
    if kind == codec::KIND_CLOSE {
        if size != 3 {
            return Err(PyValueError::new_err(format!(
                "Close has 3 items, not {size}"
            )));
        }
        batch.close(conn, close_code(frame.get_borrowed_item(2)?.extract()?)?);
        return Ok(());
    }
    let shape = codec::shape(kind)
        .ok_or_else(|| PyValueError::new_err(format!("there is no server frame {kind}")))?;
    if size != shape.len() + 2 {
        return Err(PyValueError::new_err(format!(
            "a frame of kind {kind} has {} items, not {size}",
            shape.len() + 2
        )));
    }
    batch.encoder.start();
    for (index, &(field, form)) in (2..).zip(shape) {
        let item = frame.get_borrowed_item(index)?;
        add_item(&mut batch.encoder, field, form, &item)
            .map_err(|error| wrong_item(frame.py(), kind, index, error))?;
    }
    batch.add(conn, kind);
    Ok(())
}

fn add_item(
    encoder: &mut Encoder,
    field: u32,
    form: Form,
    item: &Bound<'_, PyAny>,
) -> PyResult<()> {
    match form {
        Form::U64 => encoder.number(field, item.extract()?),
        Form::U32 => encoder.number(field, u64::from(item.extract::<u32>()?)),
        Form::Flag => encoder.number(field, u64::from(item.extract::<bool>()?)),
        Form::Bytes => encoder.bytes(field, item.cast::<PyBytes>()?.as_bytes()),
        Form::Text => encoder.bytes(
            field,
            item.cast::<PyString>()?.extract::<String>()?.as_bytes(),
        ),
        Form::Texts => {
            for text in item.cast::<PyTuple>()? {
                encoder.item(field, text.extract::<String>()?.as_bytes());
            }
        }
        Form::Limits => {
            let numbers: [u32; 6] = item.extract()?;
            encoder.limits(field, &numbers);
        }
    }
    Ok(())
}

fn wrong_item(py: Python<'_>, kind: u8, index: usize, error: PyErr) -> PyErr {
    let text = format!(
        "item {index} of a frame of kind {kind}: {}",
        error.value(py)
    );
    if error.is_instance_of::<PyTypeError>(py) {
        PyTypeError::new_err(text)
    } else {
        PyValueError::new_err(text)
    }
}

fn close_code(code: u16) -> PyResult<u16> {
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(code),
        _ => Err(PyValueError::new_err(format!(
            "{code} is not a close code that may be sent"
        ))),
    }
}

/// A digest of the sources from which this module was built; src/iris/wire/engine.py compares it with the files.
#[pyfunction]
fn source_digest() -> &'static str {
    env!("IRIS_SOURCE_DIGEST")
}

/// A certificate (DER) for one address, and its private key (PKCS#8, DER).
#[pyfunction]
fn self_signed<'py>(
    py: Python<'py>,
    address: &str,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let made = load::self_signed(self::address(address)?).map_err(EngineError::new_err)?;
    Ok((PyBytes::new(py, &made.0), PyBytes::new(py, &made.1)))
}

/// Runs a load; see load.rs. The GIL is held only while `on_moment` runs.
#[pyfunction]
#[pyo3(name = "load", signature = (*, host, port, root, tokens, users, numbers, on_moment))]
#[allow(clippy::too_many_arguments)] // all by keyword
fn run_load<'py>(
    py: Python<'py>,
    host: &str,
    port: u16,
    root: Vec<u8>,
    tokens: Vec<String>,
    users: Vec<Vec<u8>>,
    numbers: &Bound<'py, PyDict>,
    on_moment: Py<PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut plan = load::Plan {
        address: (address(host)?, port).into(),
        root,
        tokens,
        users,
        numbers: load::Numbers::default(),
    };
    for (name, value) in numbers {
        plan.numbers
            .set(&name.extract::<String>()?, value.extract()?)
            .map_err(PyValueError::new_err)?;
    }
    let mut raised = None;
    let outcome = py.detach(|| {
        load::run(&plan, &mut |moment, done| {
            let told = Python::attach(|py| {
                py.check_signals()?;
                on_moment.call1(py, (moment, done)).map(drop)
            });
            let on = told.is_ok();
            raised = raised.take().or(told.err());
            on
        })
    });
    if let Some(error) = raised {
        return Err(error);
    }
    let report = outcome.map_err(EngineError::new_err)?;
    let histograms = PyDict::new(py);
    for (name, histogram) in &report.histograms {
        histograms.set_item(name, histogram.rows())?;
    }
    let result = PyDict::new(py);
    result.set_item("counts", report.counts)?;
    result.set_item("histograms", histograms)?;
    result.set_item("faults", report.faults)?;
    Ok(result)
}

/// Runs the relay of floor.rs on a free port until the descriptor `control` ends. Tells `ready` with the port, and `done` with
/// its counters whenever something comes from `control`.
#[pyfunction]
#[pyo3(signature = (*, host, certificate, key, control, tell))]
fn relay(
    py: Python<'_>,
    host: &str,
    certificate: Option<&[u8]>,
    key: Option<&[u8]>,
    control: i32,
    tell: Py<PyAny>,
) -> PyResult<()> {
    let config = match certificate.zip(key) {
        Some((chain, key)) => tls::tickets()
            .and_then(|tickets| tls::server_config(chain, key, false, tickets))
            .map(Some)
            .map_err(EngineError::new_err)?,
        None => None,
    };
    let listener = sys::listen((address(host)?, 0).into(), false)?;
    let ready = [("port", u64::from(listener.local_addr()?.port()))];
    tell.call1(py, ("ready", ready.into_py_dict(py)?))?;
    let relay = Relay::new(listener, config)?;
    let mut raised = None;
    let asked = |done: Done| {
        let told = Python::attach(|py| {
            let counts = done.counts().into_py_dict(py)?;
            tell.call1(py, ("done", counts)).map(drop)
        });
        raised = raised.take().or(told.err());
    };
    py.detach(|| relay.run(control, asked))?;
    raised.map_or(Ok(()), Err)
}

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()?;
    module.add_class::<LogSync>()?;
    module.add("EngineError", module.py().get_type::<EngineError>())?;
    module.add_function(wrap_pyfunction!(source_digest, module)?)?;
    module.add_function(wrap_pyfunction!(self_signed, module)?)?;
    module.add_function(wrap_pyfunction!(run_load, module)?)?;
    module.add_function(wrap_pyfunction!(relay, module)?)?;
    Ok(())
}
