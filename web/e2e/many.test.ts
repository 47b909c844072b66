/** Ten thousand messages: catching up does not freeze the page, and the history can be walked to its beginning. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepPictures, openBrowser, Person } from "./people.js";
import { Sender } from "./sender.js";
import { Server } from "./server.js";

const COUNT = Number(process.env.WEB_TEST_MANY ?? 10_000);
const ROWS_MAX = 320; // messages, days and the marker in the page at once
const PAUSE_MS_MAX = 1_500; // the longest time for which the page may not answer, on a slow shared machine

let server: Server;
let browser: Browser;
let ada: Sender;
let bob: Person;

keepPictures();
beforeAll(async () => {
  server = await Server.start();
  browser = await openBrowser();
  ada = await Sender.arrive(server.url, "ada", "Ada");
  bob = await Person.arrive(browser, server.url, "bob");
  await bob.register("Bob");
  await ada.write("bob", ["the first"]);
  await bob.openChat("Ada");
  await bob.sees("the first");
});
afterAll(async () => {
  ada?.end();
  await browser?.close();
  await server?.stop();
});

test("catching up on ten thousand messages", async () => {
  await bob.page.goto("about:blank"); // Bob is away; what he has stays in his browser
  await ada.write(
    "bob",
    Array.from({ length: COUNT }, (_, n) => `n${n}`),
  );
  const begun = Date.now();
  await bob.page.goto(server.url);
  await bob.page.locator(".line", { hasText: "Ada" }).waitFor();
  await bob.page.evaluate(() => {
    const watched = globalThis as unknown as { longest: number };
    watched.longest = 0;
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      watched.longest = Math.max(watched.longest, now - last);
      last = now;
    }, 50);
  });
  if (COUNT >= 5_000) await bob.page.locator(".banner", { hasText: /Catching up: [\d,]+ of [\d,]+/ }).waitFor();
  await bob.openChat("Ada");
  await bob.page.locator(".line", { hasText: `n${COUNT - 1}` }).waitFor({ timeout: 240_000 });
  const seconds = (Date.now() - begun) / 1000;
  const longest = await bob.page.evaluate(() => (globalThis as unknown as { longest: number }).longest);
  console.log(`caught up on ${COUNT} in ${seconds.toFixed(1)} s; longest pause ${longest.toFixed(0)} ms`);
  expect(await bob.page.locator(".messages li").count()).toBeLessThanOrEqual(ROWS_MAX);
  expect(longest).toBeLessThan(PAUSE_MS_MAX);
}, 600_000);

test("the end and the beginning can be reached, and the page stays small", async () => {
  const { page } = bob;
  const toEnd = page.getByRole("button", { name: "To the newest message" });
  if (await toEnd.isVisible()) await toEnd.click();
  await bob.sees(`n${COUNT - 1}`);
  await page.getByRole("button", { name: "Search in this chat" }).click();
  await page.locator(".chat-search input").fill("the first");
  await page.locator("li.message.lit", { hasText: "the first" }).waitFor();
  await page.locator(".messages").evaluate((box) => {
    box.scrollTop = 0;
  });
  await page.locator("li.day").first().waitFor();
  expect(await page.locator(".messages li").count()).toBeLessThanOrEqual(ROWS_MAX);
  const before = await page.locator(".messages li").count();
  await page.locator(".messages").evaluate((box) => {
    box.scrollTop = box.scrollHeight;
  });
  await expect.poll(() => page.locator(".messages li").count()).not.toBe(before);
  expect(bob.faults).toEqual([]);
});
