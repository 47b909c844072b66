/** Bad networks: offline, a killed server, two tabs, a page opened without a network. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepPictures, openBrowser, Person } from "./people.js";
import { Server } from "./server.js";

let server: Server;
let browser: Browser;
let ada: Person;
let bob: Person;

keepPictures();
beforeAll(async () => {
  server = await Server.start();
  browser = await openBrowser();
  ada = await Person.arrive(browser, server.url, "ada");
  bob = await Person.arrive(browser, server.url, "bob");
  await ada.register("Ada");
  await bob.register("Bob");
  await ada.startChat("bob");
  await ada.write("one");
  await bob.openChat("Ada");
  await bob.sees("one");
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test("what is written offline waits, and goes out in its order", async () => {
  await ada.context.setOffline(true);
  await server.kill(); // an open WebSocket outlives setOffline
  await ada.page.locator(".banner.offline").waitFor();
  for (const text of ["two", "three", "four"]) await ada.write(text);
  await ada.seesState("four", "queued");
  await ada.page.locator(".banner", { hasText: "3 messages wait" }).waitFor();
  await server.up();
  await ada.context.setOffline(false);
  await bob.sees("four");
  expect(await bob.texts()).toEqual(["one", "two", "three", "four"]);
  await ada.page.locator(".banner").waitFor({ state: "detached" });
  await ada.seesState("four", "read");
});

test("a server that is killed in the middle of sending loses nothing and doubles nothing", async () => {
  const said: string[] = [];
  for (let n = 0; n < 30; n += 1) {
    said.push(`m${n} `.padEnd(8, "."));
    await ada.write(said[n] ?? "");
    if (n === 10) await server.kill();
    if (n === 20) await server.up();
  }
  await bob.sees(said.at(-1) ?? "");
  await expect
    .poll(async () => (await bob.texts()).filter((text) => text.startsWith("m")), { timeout: 40_000 })
    .toEqual(said);
  expect((await ada.texts()).filter((text) => text.startsWith("m"))).toEqual(said);
});

test("two tabs show the same, and both can write", async () => {
  const second = await ada.tab();
  await second.openChat("Bob");
  await second.sees("m29");
  await second.write("from the second tab");
  await bob.sees("from the second tab");
  await ada.sees("from the second tab");
  await ada.seesState("from the second tab", "read");
  await ada.write("from the first tab");
  await second.sees("from the first tab");
  await bob.write("heard you both");
  await ada.sees("heard you both");
  await second.sees("heard you both");
  await ada.page.close(); // whichever held the connection, the other goes on
  await bob.write("still there?");
  await second.sees("still there?");
  await second.write("still here");
  await bob.sees("still here");
  expect(second.faults).toEqual([]);
});

test("the page opens without a network, shows what it has, and what is written there goes out later", async () => {
  const [page] = ada.context.pages();
  if (page === undefined) throw new Error("a tab is open");
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  const devtools = await ada.context.newCDPSession(page);
  const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
  // Playwright's contexts are private windows, in which nothing can be installed.
  expect(installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito")).toEqual([]);
  await server.kill();
  await page.reload();
  await page.locator(".composer textarea").waitFor();
  await page.locator("li.message", { hasText: "still here" }).waitFor();
  await page.locator(".composer textarea").fill("written in the dark");
  await page.locator(".composer textarea").press("Enter");
  await page.locator("li.message", { hasText: "written in the dark" }).locator(".tick-queued").waitFor();
  await page.reload(); // the outbox is durable
  await page.locator("li.message", { hasText: "written in the dark" }).locator(".tick-queued").waitFor();
  await server.up();
  await bob.message("written in the dark").waitFor({ timeout: 60_000 });
});

test("nothing went wrong in the pages", () => {
  expect([...ada.faults, ...bob.faults]).toEqual([]);
});
