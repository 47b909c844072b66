/**
 * Everything ends at any moment: tabs, networks, the server. Afterwards every device shows every message, once, in the same
 * order. The story follows from a seed: CHAOS_SEED=7 CHAOS_STEPS=400 npm test
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Server, serverThere } from "./server.js";
import { Person } from "./world.js";

const SEED = Number(process.env.CHAOS_SEED ?? 1);
const STEPS = Number(process.env.CHAOS_STEPS ?? 30);

/** Numbers by chance that follow from a seed (mulberry32). */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

describe.skipIf(!serverThere())("chaos", { timeout: 120_000 + STEPS * 2_000 }, () => {
  let server: Server;

  beforeAll(async () => {
    server = await new Server().start();
  }, 60_000);
  afterAll(() => server?.close());

  it(`nothing is lost and nothing comes twice (CHAOS_SEED=${SEED} CHAOS_STEPS=${STEPS})`, async () => {
    const pick = chance(SEED);
    const ada = await new Person(server.url, "ada").join();
    const bob = await new Person(server.url, "bob").join();
    const phone = await new Person(server.url, "bob", "phone").logIn();
    const tabs = [ada, await ada.another(), bob, await bob.another(), phone];
    const talk = ada.client.conversationWith(bob.client.user);
    const wanted: string[] = [];
    const kinds = new Map<string, number>();

    async function step(number: number): Promise<void> {
      const tab = tabs[pick(tabs.length)] as Person;
      const what = pick(100);
      const did = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (what < 70) {
        did("send");
        for (let i = pick(5); i >= 0; i--) {
          const text = `${number}.${i}`;
          await tab.client.send(talk, text);
          wanted.push(text);
        }
      } else if (what < 80) {
        did("die");
        tab.die();
        await tab.open();
      } else if (what < 88) {
        did("close");
        await tab.client.close();
        await tab.open();
      } else if (what < 96) {
        did("cut");
        for (const one of tabs) one.cut();
      } else {
        did("kill");
        await server.kill();
        await server.start();
      }
    }

    for (let number = 0; number < STEPS; number++) await step(number);
    for (const kind of ["send", "die", "close", "cut"]) expect(kinds.get(kind) ?? 0, kind).toBeGreaterThan(0);
    await server.kill();
    await server.start();
    for (const tab of tabs) {
      tab.client.reconnect();
      await tab.until("all answered", async (client) => (await client.waiting()) === 0);
      await tab.until("all here", async () => (await tab.texts(talk)).length >= wanted.length);
    }
    const texts = await ada.texts(talk);
    expect([...texts].sort()).toEqual([...wanted].sort());
    for (const tab of tabs) expect(await tab.texts(talk)).toEqual(texts);
    for (const tab of tabs) await tab.client.close();
  });
});
