/** When a connection counts as open, closed or dead. In virtual time. */

import { beforeEach, expect, it } from "vitest";
import { LIMITS } from "../src/catalogue.js";
import { Link } from "../src/link.js";
import { Virtual } from "./virtual.js";

let world: Virtual;
let link: Link;
let told: unknown[];

beforeEach(() => {
  world = new Virtual();
  told = [];
  link = connect();
});

const connect = (hello?: Uint8Array) => {
  const events = {
    opened: (greeted: boolean) => told.push(greeted ? "greeted" : "opened"),
    received: (data: Uint8Array) => told.push([...data]),
    lost: (code: number | undefined) => told.push(["lost", code]),
  };
  return new Link("ws://here", world.platform(), LIMITS, events, hello);
};

const open = () => world.socket.onopen?.();
const welcome = () => world.socket.says(new Uint8Array([1]));
const probes = () => world.socket.sent.filter((data) => data.length === 0).length;

it("hands over what it hears, and no text", () => {
  open();
  welcome();
  world.socket.says("text");
  expect(told).toEqual(["opened", [1]]);
});

it("offers the Hello with the upgrade, in base64url without padding", () => {
  expect(world.socket.protocols).toEqual(["iris.v1.pb"]);
  connect(new Uint8Array([0xfb, 0xff, 0xfe, 0x00])); // "+//+AA==" in plain base64
  expect(world.socket.protocols).toEqual(["iris.v1.pb", "iris.v1.pb.early", "iris.early.-__-AA"]);
});

it("offers no Hello that is too long for the head of a request", () => {
  connect(new Uint8Array(2048));
  expect(world.socket.protocols[2]).toBe(`iris.early.${"A".repeat(2731)}`);
  connect(new Uint8Array(2049));
  expect(world.socket.protocols).toEqual(["iris.v1.pb"]);
});

it.each([
  ["iris.v1.pb.early", "greeted"],
  ["iris.v1.pb", "opened"],
])("answered with %s it is %s", (protocol, expected) => {
  connect(new Uint8Array([1]));
  world.socket.protocol = protocol;
  open();
  welcome();
  expect(told).toEqual([expected, [1]]);
});

it("is lost when it does not open in time", () => {
  world.pass(15_000);
  expect(told).toEqual([["lost", undefined]]);
  open();
  expect(told).toHaveLength(1);
});

it.each(["", "iris.v2.pb", "iris.early.AQ"])("is lost when the other side speaks something else: '%s'", (protocol) => {
  connect(new Uint8Array([1]));
  world.socket.protocol = protocol;
  open();
  expect(told).toEqual([["lost", undefined]]);
});

it("is lost without a Welcome, and sends nothing before it", () => {
  open();
  link.probe();
  world.pass(18_000);
  expect(told).toEqual(["opened", ["lost", undefined]]);
  expect(world.socket.sent).toEqual([]);
});

it.each([
  [4101, 4101],
  [1006, undefined],
])("tells the close code %s as %s", (code, expected) => {
  open();
  world.socket.onclose?.({ code, reason: "" });
  world.socket.onclose?.({ code, reason: "" });
  expect(told).toEqual(["opened", ["lost", expected]]);
});

it("says nothing of a close that was asked for", () => {
  open();
  link.close(1000);
  world.socket.onclose?.({ code: 1000, reason: "" });
  world.pass(60_000);
  link.send(new Uint8Array([1]));
  expect([told, world.socket.closedWith, world.socket.sent]).toEqual([["opened"], 1000, []]);
});

it("asks after 10 s of silence and is dead 8 s later", () => {
  open();
  welcome();
  world.pass(9_999);
  expect(probes()).toBe(0);
  world.pass(1);
  expect(probes()).toBe(1);
  world.pass(7_999);
  expect(told).toHaveLength(2);
  world.pass(1);
  expect(told.at(-1)).toEqual(["lost", undefined]);
});

it("lives as long as it is answered", () => {
  open();
  welcome();
  for (let i = 0; i < 10; i++) {
    world.pass(10_000);
    welcome();
  }
  expect(probes()).toBe(10);
  expect(told.at(-1)).toEqual([1]);
});

it("does not take a late timer for a dead server", () => {
  open();
  welcome();
  world.pass(60_000, true); // a page in the background, a machine that slept
  expect(told).toHaveLength(2);
  expect(probes()).toBe(1);
  welcome();
  world.pass(9_999);
  expect(told.at(-1)).toEqual([1]);
});

it("asks at once when the network may have changed", () => {
  open();
  welcome();
  link.probe();
  link.probe();
  expect(probes()).toBe(1);
  world.pass(8_000);
  expect(told.at(-1)).toEqual(["lost", undefined]);
});
