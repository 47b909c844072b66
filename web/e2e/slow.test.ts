/** A slow line that breaks. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepPictures, openBrowser, Person } from "./people.js";
import { Server } from "./server.js";
import { SlowLine } from "./slow.js";

const DELAY_MS = 400; // each way

let server: Server;
let line: SlowLine;
let browser: Browser;
let ada: Person;
let bob: Person;

keepPictures();
beforeAll(async () => {
  server = await Server.start();
  line = await SlowLine.before(server.port, DELAY_MS);
  browser = await openBrowser();
  ada = await Person.arrive(browser, line.url, "ada");
  bob = await Person.arrive(browser, server.url, "bob");
  await ada.register("Ada");
  await bob.register("Bob");
  await ada.startChat("bob");
});
afterAll(async () => {
  await browser?.close();
  line?.end();
  await server?.stop();
});

test("a message is shown at once with a clock, and gets its ticks when they come", async () => {
  const begun = Date.now();
  await ada.write("slowly");
  await ada.seesState("slowly", "queued");
  expect(Date.now() - begun).toBeLessThan(2 * DELAY_MS);
  await ada.seesState("slowly", "delivered");
});

test("a line that breaks again and again loses nothing and doubles nothing", async () => {
  const said = Array.from({ length: 20 }, (_, n) => `m${n} `.padEnd(8, "."));
  await bob.openChat("Ada");
  for (const [n, text] of said.entries()) {
    await ada.write(text);
    if (n % 5 === 4) line.cut();
  }
  await bob.sees(said.at(-1) ?? "");
  await expect.poll(async () => (await bob.texts()).filter((text) => text.startsWith("m"))).toEqual(said);
  expect((await ada.texts()).filter((text) => text.startsWith("m"))).toEqual(said);
  await ada.seesState(said.at(-1) ?? "", "read");
  expect([...ada.faults, ...bob.faults]).toEqual([]);
});
