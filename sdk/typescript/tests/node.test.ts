/** Node's platform. Its locks: one at a time, in order, whoever gives up. Its sockets: which subprotocol was taken. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { nodePlatform } from "../src/platform/node.js";
import { soon } from "./virtual.js";

const { locked, openSocket } = nodePlatform();

it("one at a time, in order", async () => {
  const log: string[] = [];
  let leave: () => void = () => undefined;
  const first = locked("a", undefined, async () => {
    log.push("first");
    await new Promise<void>((resolve) => {
      leave = resolve;
    });
    log.push("first ends");
  });
  const giveUp = new AbortController();
  const second = locked("a", giveUp.signal, async () => log.push("second"));
  await soon(() => log.length === 1);
  giveUp.abort(new Error("no longer wanted"));
  await expect(second).rejects.toThrow("no longer wanted");
  const third = locked("a", undefined, async () => log.push("third"));
  await locked("b", undefined, async () => log.push("another name"));
  expect(log).toEqual(["first", "another name"]);
  leave();
  await Promise.all([first, third]);
  expect(log).toEqual(["first", "another name", "first ends", "third"]);
});

it("one that fails leaves it to the next", async () => {
  await expect(locked("c", undefined, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await locked("c", undefined, async () => "yes")).toBe("yes");
});

it("a socket offers every subprotocol and says which one was taken", async () => {
  let offered: string[] = [];
  const handleProtocols = (protocols: Set<string>) => {
    offered = [...protocols];
    return "iris.v1.pb.early";
  };
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols });
  await once(server, "listening");
  const protocols = ["iris.v1.pb", "iris.v1.pb.early", `iris.early.${"-_A0".repeat(683)}`];
  const socket = openSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, protocols);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onclose = () => reject(new Error("not opened"));
    });
    expect([offered, socket.protocol]).toEqual([protocols, "iris.v1.pb.early"]);
  } finally {
    socket.close();
    server.close();
  }
});
