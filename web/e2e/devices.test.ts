/** More than one device of a person: copies, unlinking, a revoked session, four devices and no fifth; phone width. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepPictures, openBrowser, Person } from "./people.js";
import { Server } from "./server.js";

let server: Server;
let browser: Browser;
let ada: Person;
let bob: Person;
const more: Person[] = [];

keepPictures();
beforeAll(async () => {
  server = await Server.start();
  browser = await openBrowser();
  ada = await Person.arrive(browser, server.url, "ada");
  bob = await Person.arrive(browser, server.url, "bob", {
    viewport: { width: 360, height: 740 },
    hasTouch: true,
    isMobile: true,
  });
  await ada.register("Ada");
  await bob.register("Bob");
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test("four devices of one person show the same; a fifth is refused with a reason", async () => {
  for (let n = 0; n < 3; n += 1) {
    const one = await Person.arrive(browser, server.url, "ada");
    await one.logIn();
    more.push(one);
  }
  await ada.startChat("bob");
  await ada.write("to all of us");
  for (const one of more) {
    await one.openChat("Bob");
    await one.sees("to all of us");
  }
  await more[0]?.write("from the second device");
  await ada.sees("from the second device");
  const fifth = await Person.arrive(browser, server.url, "ada");
  await fifth.page.getByRole("button", { name: "I have an account" }).click();
  await fifth.page.getByLabel("Handle").fill("ada");
  await fifth.page.getByRole("textbox", { name: "Password" }).fill("correct horse");
  await fifth.page.getByRole("button", { name: "Log in" }).click();
  await fifth.page.getByRole("alert").filter({ hasText: "Four devices are linked already" }).waitFor();
  await fifth.leave();
});

test("on a phone there is one pane, and the way back", async () => {
  const { page } = bob;
  await page.locator(".line", { hasText: "Ada" }).tap();
  await bob.sees("from the second device");
  expect(await page.locator(".side").isVisible()).toBe(false);
  await bob.write("from my phone");
  await ada.sees("from my phone");
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(width).toBeLessThanOrEqual(360);
  await page.goBack();
  await page.getByRole("heading", { name: "Chats", exact: true }).waitFor();
  expect(await page.locator(".main").isVisible()).toBe(false);
});

test("a device that is unlinked is logged out at once, says so, and can log in again with its history", async () => {
  const { page } = ada;
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Devices" }).click();
  await page.getByText("This device").waitFor();
  expect(await page.locator(".person").count()).toBe(4);
  await page.getByRole("button", { name: "Unlink" }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Unlink" }).click();
  await expect.poll(() => page.locator(".person").count()).toBe(3);
  const banners = more.map((one) => one.page.locator(".banner.closed", { hasText: "This device was logged out" }));
  await Promise.any(banners.map((banner) => banner.waitFor({ timeout: 5_000 })));
  const visible = await Promise.all(banners.map((banner) => banner.isVisible()));
  expect(visible.filter(Boolean)).toHaveLength(1);
  const revoked = more[visible.indexOf(true)];
  if (revoked === undefined) throw new Error("one of them");
  await revoked.page.getByRole("button", { name: "Log in again" }).click();
  await revoked.page.getByText("This device was logged out. Log in again").waitFor();
  expect(await revoked.page.getByLabel("Handle").inputValue()).toBe("ada");
  await revoked.page.getByRole("textbox", { name: "Password" }).fill("correct horse");
  await revoked.page.getByRole("button", { name: "Log in" }).click();
  await revoked.box().waitFor();
  await revoked.sees("to all of us");
  await revoked.write("back again");
  await ada.page.locator("li.message", { hasText: "back again" }).waitFor();
});

test("logging out removes everything from this browser", async () => {
  const { page } = ada;
  const second = await ada.tab();
  await second.page.getByRole("heading", { name: "Chats", exact: true }).waitFor();
  await page.getByRole("button", { name: "Back", exact: true }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Create your account" }).waitFor();
  await second.page.locator(".banner.closed", { hasText: "removed in another tab" }).waitFor();
  await second.page.getByRole("button", { name: "Use it here" }).click();
  await second.page.getByRole("heading", { name: "Create your account" }).waitFor();
  await second.page.close();
  await page.reload();
  await page.getByRole("heading", { name: "Create your account" }).waitFor();
  await ada.logIn();
  await page.getByRole("heading", { name: "No chats yet" }).waitFor();
});

test("nothing went wrong in the pages", () => {
  expect([ada, bob, ...more].flatMap((one) => one.faults)).toEqual([]);
});
