/** The list and what hangs on it: pin, mute, archive, search, forward, names, theme. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepPictures, openBrowser, Person } from "./people.js";
import { Server } from "./server.js";

let server: Server;
let browser: Browser;
let ada: Person;
let bob: Person;
let carl: Person;

keepPictures();
beforeAll(async () => {
  server = await Server.start();
  browser = await openBrowser();
  ada = await Person.arrive(browser, server.url, "ada");
  bob = await Person.arrive(browser, server.url, "bob");
  carl = await Person.arrive(browser, server.url, "carl");
  for (const [one, name] of [
    [ada, "Ada"],
    [bob, "Bob"],
    [carl, "Carl"],
  ] as const) {
    await one.register(name);
  }
  await bob.startChat("ada");
  await bob.write("from Bob");
  await ada.page.locator(".line", { hasText: "Bob" }).waitFor();
  await carl.startChat("ada");
  await carl.write("from Carl");
  await ada.page.locator(".line", { hasText: "Carl" }).waitFor();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const names = () => ada.page.locator(".line-name").allTextContents();

async function choose(name: string, action: string): Promise<void> {
  await ada.page.locator(".line-box", { hasText: name }).click({ button: "right" });
  await ada.page.getByRole("menuitem", { name: action, exact: true }).click();
}

test("pin, mute and archive", async () => {
  await expect.poll(names).toEqual(["Carl", "Bob"]);
  await choose("Bob", "Pin");
  await expect.poll(names).toEqual(["Bob", "Carl"]);
  await choose("Carl", "Mute");
  await ada.page.getByRole("button", { name: "Until I unmute it" }).click();
  await ada.page.locator(".line", { hasText: "Carl" }).getByRole("img", { name: "Muted" }).waitFor();
  await choose("Carl", "Archive");
  await expect.poll(names).toEqual(["Bob"]);
  await ada.page.locator(".archive-row").click();
  await expect.poll(names).toEqual(["Carl"]);
  await choose("Carl", "Take out of the archive");
  await ada.page.getByRole("button", { name: "Back to chats" }).click();
  await expect.poll(names).toEqual(["Bob", "Carl"]);
});

test("a message is found and shown in its chat, and forwarded to another", async () => {
  const { page } = ada;
  await page.getByLabel("Search people and messages").fill("from carl");
  await page.locator(".line", { hasText: "from Carl" }).click();
  await page.locator("li.message.lit", { hasText: "from Carl" }).waitFor();
  await page.getByRole("button", { name: "Clear the search" }).click();
  await ada.act("from Carl", "Forward");
  await page.getByRole("dialog").getByRole("button", { name: "Bob" }).click();
  await page.getByRole("status").filter({ hasText: "Forwarded to Bob" }).waitFor();
  await bob.message("from Carl").locator(".forwarded").waitFor();
});

test("a contact has the name that I give", async () => {
  const { page } = ada;
  await ada.openChat("Bob");
  await page.locator(".who").click();
  await page.getByRole("button", { name: "Add to contacts" }).click();
  await page.getByRole("button", { name: "Change the name on my list" }).click();
  await page.getByRole("dialog").getByLabel("Name on my list").fill("Bob from work");
  await page.keyboard.press("Enter");
  await page.locator(".line-name", { hasText: "Bob from work" }).waitFor();
  await page.reload();
  await page.locator(".line-name", { hasText: "Bob from work" }).waitFor();
});

test("theme and name are kept", async () => {
  const { page } = ada;
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Appearance" }).click();
  await page.getByLabel("Dark").check();
  await page.getByRole("button", { name: "Back", exact: true }).click();
  await page.locator(".row.me").click();
  await page.getByLabel("Name").fill("Ada L.");
  await page.getByRole("button", { name: "Save the change" }).click();
  await page.getByText("Saved").waitFor();
  await page.reload();
  await page.locator(".settings").waitFor();
  expect(await page.locator("html").getAttribute("data-theme")).toBe("dark");
  expect(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)).toBe("rgb(23, 21, 31)");
  await page.getByRole("button", { name: "Back", exact: true }).click();
  await page.locator(".row.me", { hasText: "Ada L." }).waitFor();
});

test("any emoji can be a reaction", async () => {
  const { page } = ada;
  await page.goto(server.url);
  await ada.openChat("Bob from work");
  await ada.message("from Bob").locator(".bubble").click({ button: "right" });
  await page.getByRole("menuitem", { name: "React with another emoji" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "🎉" }).click();
  await bob.openChat("Ada");
  await bob.message("from Bob").locator(".reaction", { hasText: "🎉" }).waitFor();
  await ada.message("from Bob").locator(".reaction", { hasText: "🎉" }).click(); // takes it back
  await bob.message("from Bob").locator(".reaction").waitFor({ state: "detached" });
  expect([ada, bob, carl].flatMap((one) => one.faults)).toEqual([]);
});
