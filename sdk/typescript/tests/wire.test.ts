/** Frames and bytes, by the examples of docs/protocol.md; and the generated code is what protocol/ says. */

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { ClientFrame } from "../src/core/frames.js";
import { fromHex, toHex } from "../src/ids.js";
import { decodeFrame, encodeFrame, encodeSend, PROBE } from "../src/wire.js";

const PAGE = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
const EXAMPLES = [
  ...PAGE.matchAll(/```hex (ClientFrame|ServerFrame)\n([0-9a-f\n]+)```\n\n```textproto\n(\w+) \{/g),
].map(([, direction, hex, name]) => ({ direction, hex: hex?.replaceAll("\n", "") ?? "", name: name ?? "" }));
const example = (name: string) => EXAMPLES.find((one) => one.name === name)?.hex ?? "";

const ADA = "00000a0a0a0a0a0a0a0a0a0a0a0a0a0a";
const BOB = "00000b0b0b0b0b0b0b0b0b0b0b0b0b0b";
const COFFEE = "c0ffee00c0ffee00c0ffee00c0ffee00";
const [SEQ, AT] = [30064771077, 1800000000123];

describe("the bytes of docs/protocol.md", () => {
  it("are found", () => expect(EXAMPLES.length).toBeGreaterThanOrEqual(7));

  it("hello", () => {
    const hello = { token: "eyJ.e30.sig", seq: 30064771113, rev: 30064771081, client: "example/1" };
    expect(toHex(encodeFrame({ hello }))).toBe(example("hello"));
  });

  it("ack", () => expect(toHex(encodeFrame({ ack: { seq: SEQ, rev: 30064771081 } }))).toBe(example("ack")));

  it("send", () => {
    const send = { conversation: ADA + BOB, stream: 3, client_seq: 1, answered: 0, message_id: COFFEE };
    const payload = { payload: fromHex("0a040a026869"), content_type: 1, alg: 0 };
    expect(toHex(encodeSend({ ...send, after: 1799999990000 }, payload))).toBe(example("send"));
  });

  it("welcome", () => {
    expect(decodeFrame(fromHex(example("welcome")))).toEqual({
      welcome: {
        limits: { payload_bytes_max: 65536, send_window: 32, watches_max: 256, send_repeat_ms: 10000 },
        time: 1800000000000,
        head: 30064771113,
        head_rev: 30064771081,
        oldest: 0,
        reset: false,
        user: ADA,
        device: 1,
        token_expires_at: 1800003600000,
      },
    });
  });

  it("accepted", () => {
    const accepted = { conversation: ADA + BOB, stream: 3, client_seq: 1, message_id: COFFEE, seq: SEQ, at: AT };
    expect(decodeFrame(fromHex(example("accepted")))).toEqual({ accepted });
  });

  it("deliver", () => {
    expect(decodeFrame(fromHex(example("deliver")))).toEqual({
      deliver: {
        seq: SEQ,
        prev: SEQ - 1,
        kind: 1,
        conversation: ADA + BOB,
        sender: ADA,
        device: 1,
        message_id: COFFEE,
        at: AT,
        peer_seq: 0,
        payload: "0a040a026869",
        content_type: 1,
        alg: 0,
      },
    });
  });

  it("receipt", () => {
    const receipt = { rev: 30064771082, prev_rev: 30064771081, conversation: ADA + BOB, delivered: SEQ, read: 0 };
    expect(decodeFrame(fromHex(example("receipt")))).toEqual({ receipt });
  });
});

describe("bytes", () => {
  it.each<[ClientFrame, string]>([
    [{ read: { conversation: "aa", seq: 5 } }, "22050a01aa1005"],
    [{ typing: { conversation: "aa", active: true } }, "2a050a01aa1001"],
    [{ watch: { users: ["aa", "bb"] } }, "32060a01aa0a01bb"],
    [{ refresh: { token: "t" } }, "3a030a0174"],
  ])("of %o", (frame, hex) => expect(toHex(encodeFrame(frame))).toBe(hex));

  it("that are no frame are none", () => {
    for (const hex of ["ff", "0a", "0a4d", "deadbeef"]) expect(decodeFrame(fromHex(hex))).toBeUndefined();
  });

  it("of a later version's frame are unknown", () => {
    expect(decodeFrame(fromHex("c23e00"))).toEqual({ unknown: true });
    expect(decodeFrame(PROBE)).toEqual({ unknown: true });
  });
});

it("src/pb is current", () => {
  const script = new URL("../scripts/protobuf.js", import.meta.url).pathname;
  const done = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  expect(done.stderr).toBe("");
  expect(done.status).toBe(0);
});
