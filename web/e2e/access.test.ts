/** Accessibility: axe finds nothing on any screen, in both themes; and the whole way is walked with the keyboard alone. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scan } from "./axe.js";
import { keepPictures, openBrowser, PASSWORD, Person } from "./people.js";
import { Server } from "./server.js";

let server: Server;
let browser: Browser;
let ada: Person;
let bob: Person;

keepPictures();
beforeAll(async () => {
  server = await Server.start();
  browser = await openBrowser();
  // The page's policy lets no foreign script in; the scanner needs to be let past it. Other flows run under the policy.
  ada = await Person.arrive(browser, server.url, "ada", { bypassCSP: true, reducedMotion: "reduce" });
  bob = await Person.arrive(browser, server.url, "bob");
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test("by keyboard alone: register, find somebody, write, answer, react", async () => {
  await bob.register("Bob");
  const { page } = ada;
  const press = (key: string) => page.keyboard.press(key);
  await page.getByLabel("Handle").waitFor();
  await scan(page, "register");
  await page.keyboard.type("ada");
  await press("Tab");
  await page.keyboard.type("Ada");
  await press("Tab");
  await page.keyboard.type(PASSWORD);
  await press("Enter");
  await page.getByRole("heading", { name: "No chats yet" }).waitFor();
  await scan(page, "empty");
  await press("Alt+n");
  await page.getByRole("dialog").waitFor();
  await scan(page, "new chat");
  await page.keyboard.type("bob");
  await press("Enter");
  await page.locator(".composer textarea:focus").waitFor();
  await scan(page, "empty chat");
  await page.keyboard.type("by keys");
  await press("Enter");
  await bob.openChat("Ada");
  await bob.sees("by keys");
  await bob.write("well done, @ada");
  await ada.sees("well done");
  await press("Shift+Tab");
  await press("Shift+Tab");
  await page.locator("li.message:focus", { hasText: "well done" }).waitFor();
  await press("ArrowUp");
  await page.locator("li.message:focus", { hasText: "by keys" }).waitFor();
  await press("ArrowDown");
  await press("Enter");
  await page.getByRole("menu").waitFor();
  await scan(page, "message menu");
  await press("ArrowRight");
  await press("Enter"); // the second quick reaction
  await ada.message("well done").locator(".reaction", { hasText: "❤️" }).waitFor();
  await page.locator("li.message:focus", { hasText: "well done" }).waitFor();
  await press("Enter");
  await page.locator("[role=menu] button:focus").waitFor();
  await press("ArrowDown");
  await page.locator("[role=menu] button:focus", { hasText: "Reply" }).waitFor();
  await bob.write("meanwhile");
  await ada.sees("meanwhile");
  await page.locator("[role=menu] button:focus", { hasText: "Reply" }).waitFor({ timeout: 1_000 }); // what comes moves nothing
  await press("Enter");
  await page.locator(".composer textarea:focus").waitFor();
  await scan(page, "reply");
  await page.keyboard.type("thank you");
  await press("Enter");
  await bob.sees("thank you");
  await press("ArrowUp"); // edit the last one
  await press("End");
  await page.keyboard.type("!");
  await press("Enter");
  await bob.sees("thank you!");
});

test("axe finds nothing on the other screens", async () => {
  const { page } = ada;
  await bob.act("well done", "Delete for everyone");
  await page.locator("li.message", { hasText: "was deleted" }).first().waitFor();
  await scan(page, "chat");
  await page.getByRole("button", { name: "Emoji" }).click();
  await scan(page, "emoji");
  await page.keyboard.press("Escape");
  await ada.box().pressSequentially("@");
  await page.getByRole("listbox").waitFor();
  await scan(page, "mentions");
  await ada.box().fill("");
  await page.getByRole("button", { name: "Search in this chat" }).click();
  await page.locator(".chat-search input").fill("keys");
  await page.locator("li.message.lit").waitFor();
  await scan(page, "search in chat");
  await page.getByRole("button", { name: "Close the search" }).click();
  await page.locator(".who").click();
  await scan(page, "person");
  await page.getByRole("button", { name: "Block", exact: true }).click();
  await page.getByRole("dialog").waitFor();
  await scan(page, "confirm");
  await page.getByRole("dialog").getByRole("button", { name: "Block" }).click();
  await page.locator(".blocked-bar").waitFor();
  await scan(page, "blocked");
  await page.locator(".blocked-bar").getByRole("button", { name: "Unblock" }).click();
  await page.locator(".composer textarea:focus").waitFor(); // the box is back and takes the focus
  await page.getByLabel("Search people and messages").fill("keys");
  await page.getByRole("heading", { name: "Messages" }).waitFor();
  await scan(page, "search");
  await page.getByRole("button", { name: "Clear the search" }).click();
  await page.locator(".line-box").first().click({ button: "right" });
  await scan(page, "line menu");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Settings" }).click();
  for (const name of [
    "Appearance",
    "Notifications",
    "Privacy",
    "Contacts",
    "Blocked people",
    "Devices",
    "Password and account",
    "Keyboard shortcuts",
  ]) {
    await page.getByRole("button", { name, exact: true }).click();
    await page.getByRole("heading", { name, exact: true }).waitFor();
    await scan(page, name);
    await page.getByRole("button", { name: "Back", exact: true }).click();
  }
  await scan(page, "settings");
});

test("right to left, phone width and 200 % zoom", async () => {
  const { page } = ada;
  await page.getByRole("button", { name: "Appearance" }).click();
  await page.getByText("العربية").click();
  await scan(page, "Arabic settings");
  expect(await page.locator("html").getAttribute("dir")).toBe("rtl");
  await page.goto(server.url);
  await page.locator(".line").first().click();
  await page.locator("li.message").first().waitFor();
  await scan(page, "Arabic chat");
  // 200 % of a 1280 px window is a page of 640 px with letters twice as large in it.
  await page.setViewportSize({ width: 640, height: 400 });
  await scan(page, "200 %");
  await page.setViewportSize({ width: 320, height: 640 });
  await scan(page, "narrow");
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
});
