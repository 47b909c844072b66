/** What the shell does with the core's effects: order, durability, failures. In virtual time, on a profile in memory. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { parseServer } from "../src/address.js";
import type { Api } from "../src/api.js";
import { LIMITS } from "../src/catalogue.js";
import { LoggedOut, Offline, ProfileError } from "../src/errors.js";
import { Holder, type Seen } from "../src/holder.js";
import { fromHex } from "../src/ids.js";
import { ClientFrameSchema, ServerFrameSchema } from "../src/pb/frames_pb.js";
import type { ProfileStore } from "../src/store/store.js";
import { TokenKeeper } from "../src/tokens.js";
import { ADA, BOB, idOf, openStore, TALK, text } from "./profiles.js";
import { soon, Virtual } from "./virtual.js";

let world: Virtual;
let early: boolean; // whether the server takes the Hello of the upgrade
const WAYS: [string, boolean][] = [
  ["Hello as a frame", false],
  ["Hello with the upgrade", true],
];
let store: ProfileStore;
let holder: Holder;
let saw: string[];
let failures: Error[];

type Body = NonNullable<Parameters<typeof create<typeof ServerFrameSchema>>[1]>["body"];

const says = (body: NonNullable<Body>) =>
  world.socket.says(toBinary(ServerFrameSchema, create(ServerFrameSchema, { body })));
const sent = () => world.socket.sent.map((data) => fromBinary(ClientFrameSchema, data).body);
const sentKinds = () => sent().map((body) => body.case);

const welcome = (head: number) =>
  says({ case: "welcome", value: { user: fromHex(ADA), device: 1, time: BigInt(world.time), head: BigInt(head) } });

function deliver(seq: number, prev = seq - 1) {
  const { payload } = text(`message ${seq}`);
  const row = { seq: BigInt(seq), prev: BigInt(prev), kind: 1, conversation: fromHex(TALK), sender: fromHex(BOB) };
  says({
    case: "deliver",
    value: { ...row, device: 1, messageId: fromHex(idOf(seq)), at: BigInt(seq), payload, contentType: 1 },
  });
}

async function open(access: () => Promise<string> = async () => "token"): Promise<void> {
  const platform = world.platform();
  const tokens = new TokenKeeper(store, platform, {} as Api, "lock");
  Object.assign(tokens, { access });
  saw = [];
  failures = [];
  holder = await Holder.open(store, tokens, platform, parseServer("http://127.0.0.1:1"), LIMITS, {
    committed: () => saw.push("committed"),
    saw: (seen: Seen) => saw.push("state" in seen ? seen.state.state : Object.keys(seen).join()),
    failed: (error) => failures.push(error),
  });
  holder.start();
}

async function greet(head = 0): Promise<void> {
  await soon(() => world.sockets.length > 0 && world.socket.closedWith === undefined);
  world.socket.opens(early);
  await soon(() => sentKinds().includes("hello"));
  welcome(head);
}

/** Commits wait until `release`. */
function holdCommits(): { held: () => boolean; release: () => void } {
  const apply = store.apply.bind(store);
  let done: (() => void) | undefined;
  store.apply = async (writes, holder) => {
    await new Promise<void>((resolve) => {
      done = resolve;
    });
    await apply(writes, holder);
  };
  return { held: () => done !== undefined, release: () => done?.() };
}

const hellos = () => sent().flatMap((body) => (body.case === "hello" ? [body.value] : []));

const enqueue = (number: number) =>
  store.enqueue({ conversation: TALK, message_id: idOf(number), at: 1, payload: text(`text ${number}`) }, 1000);

beforeEach(async () => {
  world = new Virtual();
  store = await openStore();
});

describe.each(WAYS)("the order of things, %s", (_, taken) => {
  beforeEach(() => {
    early = taken;
  });

  it("Hello, then what waits in the outbox, with its payload", async () => {
    for (const number of [1, 2, 3]) await enqueue(number);
    await open();
    await greet();
    await soon(() => sentKinds().filter((kind) => kind === "send").length === 3);
    expect(sentKinds()[0]).toBe("hello");
    const bodies = sent().flatMap((body) => (body.case === "send" ? [[body.value.clientSeq, body.value.payload]] : []));
    expect(bodies).toEqual([1, 2, 3].map((number) => [BigInt(number), text(`text ${number}`).payload]));
    await enqueue(4);
    await holder.sync();
    await soon(() => sentKinds().filter((kind) => kind === "send").length === 4);
    await holder.stop();
  });

  it("Hello is sent once", async () => {
    await open();
    await greet();
    deliver(1);
    await soon(() => sentKinds().includes("ack"));
    expect(world.socket.protocol).toBe(early ? "iris.v1.pb.early" : "iris.v1.pb");
    expect(hellos()).toMatchObject([{ token: "token", client: "test/1", cursor: { seq: 0n, rev: 0n } }]);
    await holder.stop();
  });

  it("Hello waits for a commit that is under way, and then it is no part of the upgrade", async () => {
    await open();
    await greet();
    const commits = holdCommits();
    deliver(1);
    await soon(commits.held);
    world.socket.onclose?.({ code: 1006, reason: "" });
    world.pass(1000);
    await soon(() => world.sockets.length === 2);
    world.socket.opens(early);
    expect([world.socket.protocols, sent()]).toEqual([["iris.v1.pb"], []]);
    commits.release();
    await soon(() => hellos().length === 1);
    expect(hellos()[0]?.cursor).toMatchObject({ seq: 1n, rev: 0n });
    await holder.stop();
  });

  it("an Ack is sent when the commit is on the disk, not before", async () => {
    await open();
    await greet();
    const commits = holdCommits();
    deliver(1);
    await soon(commits.held);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(sentKinds()).not.toContain("ack");
    expect(saw).not.toContain("committed");
    commits.release();
    await soon(() => sentKinds().includes("ack"));
    expect(saw).toContain("committed");
    expect(await store.getMeta("seq")).toBe(1);
    await holder.stop();
  });

  it("catching up says how far it is", async () => {
    await open();
    await greet(40);
    for (let seq = 1; seq <= 30; seq++) deliver(seq);
    expect([holder.core.state, holder.core.catchUp]).toEqual(["catching_up", { done: 30, total: 40 }]);
    for (let seq = 31; seq <= 40; seq++) deliver(seq);
    await soon(() => holder.core.state === "live");
    await holder.stop();
  });

  it("catching up over a restart of the server says how far it is once that can be known", async () => {
    const epoch = 2 ** 32;
    await open();
    await greet(epoch + 2);
    const told = () => holder.core.catchUp;
    expect(told()).toEqual({ done: 0, total: 0 });
    deliver(1);
    expect(told()).toEqual({ done: 1, total: 0 });
    deliver(epoch + 1, 1);
    expect(told()).toEqual({ done: 2, total: 3 });
    deliver(epoch + 2);
    expect(told()).toEqual({ done: 3, total: 3 });
    await holder.stop();
  });

  it("what has come is committed before stop resolves", async () => {
    await open();
    await greet();
    for (let seq = 1; seq <= 50; seq++) deliver(seq);
    await holder.stop();
    expect(await store.getMeta("seq")).toBe(50);
    expect(world.socket.closedWith).toBe(1000);
  });
});

describe.each(WAYS)("failures, %s", (_, taken) => {
  beforeEach(() => {
    early = taken;
  });

  it("a profile that cannot be written ends it, and nothing is acked", async () => {
    await open();
    await greet();
    store.apply = () => Promise.reject(new ProfileError("the disk is full"));
    deliver(1);
    await soon(() => failures.length > 0);
    expect(failures.map((error) => error.message)).toEqual(["the disk is full"]);
    expect(sentKinds()).not.toContain("ack");
    expect(world.socket.closedWith).toBe(1000);
    await holder.stop();
  });

  it("without a token it waits and tries again", async () => {
    let tries = 0;
    await open(async () => {
      tries += 1;
      if (tries < 3) throw new Offline("nobody there");
      return "token";
    });
    await soon(() => holder.core.state === "waiting");
    expect(holder.retryAt).toBe(world.time + 125);
    world.pass(125);
    await soon(() => tries === 2 && holder.core.state === "waiting");
    holder.wake(); // a person says: now
    await greet();
    expect(saw.slice(-2)).toEqual(["catching_up", "live"]);
    await holder.stop();
  });

  it("a device that is logged out is closed for good", async () => {
    await open(() => Promise.reject(new LoggedOut("out")));
    await soon(() => holder.core.state === "closed");
    expect(holder.core.closedReason).toBe("TOKEN_REVOKED");
    await holder.stop();
  });

  it("frames that are none are passed over", async () => {
    await open();
    await greet();
    world.socket.says(new Uint8Array([0xff]));
    world.socket.says("text");
    deliver(1);
    await soon(() => sentKinds().includes("ack"));
    expect(failures).toEqual([]);
    await holder.stop();
  });

  it("a lost connection is opened again, and what is unanswered is sent again under its number", async () => {
    await enqueue(1);
    await open();
    await greet();
    await soon(() => sentKinds().includes("send"));
    world.socket.onclose?.({ code: 1006, reason: "" });
    expect(holder.core.state).toBe("waiting");
    world.pass(1000);
    await greet();
    await soon(() => sentKinds().includes("send"));
    const [again] = sent().flatMap((body) => (body.case === "send" ? [body.value.clientSeq] : []));
    expect([world.sockets.length, again]).toEqual([2, 1n]);
    await holder.stop();
  });
});
