/** The locks of Node's platform: one at a time, in order, whoever gives up. */

import { expect, it } from "vitest";
import { nodePlatform } from "../src/platform/node.js";
import { soon } from "./virtual.js";

const { locked } = nodePlatform();

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
