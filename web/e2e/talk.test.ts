/** Two people in two browsers. */

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
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test("two registrations and a conversation in under a minute", async () => {
  const begun = Date.now();
  ada = await Person.arrive(browser, server.url, "ada");
  bob = await Person.arrive(browser, server.url, "bob");
  await ada.register("Ada Lovelace");
  await bob.register("Bob");
  await ada.startChat("bob");
  await ada.write("Hello Bob");
  await bob.openChat("Ada Lovelace");
  await bob.sees("Hello Bob");
  await bob.write("Hello Ada");
  await ada.sees("Hello Ada");
  expect(Date.now() - begun).toBeLessThan(60_000);
});

test("ticks go from sent to read, typing and presence are seen", async () => {
  await ada.seesState("Hello Bob", "read");
  await bob.box().pressSequentially("Hm");
  await ada.page.locator(".chat-bar", { hasText: "typing…" }).waitFor();
  await bob.box().fill("");
  await ada.page.locator(".chat-bar", { hasText: "online" }).waitFor();
});

test("what is unread is counted in the list and marked in the chat", async () => {
  await bob.page.keyboard.press("Escape");
  await bob.page.getByRole("heading", { name: "Pick a chat" }).waitFor();
  for (const text of ["x1", "x2", "x3"]) await ada.write(text);
  await bob.page.locator(".line .badge", { hasText: "3" }).waitFor();
  expect(await bob.page.title()).toBe("(1) Iris");
  await bob.openChat("Ada Lovelace");
  await bob.page.locator("li.unread", { hasText: "3 unread messages" }).waitFor();
  await bob.sees("x3");
  await ada.seesState("x3", "read");
  await bob.page.locator(".line .badge").waitFor({ state: "detached" });
});

test("reply, jump, react, edit, delete", async () => {
  await bob.act("Hello Bob", "Reply");
  await bob.write("An answer");
  await ada.sees("An answer");
  await ada.message("An answer").locator(".quote", { hasText: "Hello Bob" }).click();
  await ada.page.locator("li.message.lit", { hasText: "Hello Bob" }).waitFor();

  await ada.message("An answer").locator(".bubble").click({ button: "right" });
  await ada.page.getByRole("menuitemcheckbox", { name: "React with 👍" }).click();
  await bob.message("An answer").locator(".reaction", { hasText: "👍" }).waitFor();

  await bob.act("An answer", "Edit");
  await bob.write("A better answer");
  await ada.sees("A better answer");
  await ada.message("A better answer").locator(".meta", { hasText: "edited" }).waitFor();

  await bob.act("A better answer", "Delete for everyone");
  await ada.page.locator("li.message", { hasText: "This message was deleted" }).waitFor();
});

test("a mention is picked by keys or by the pointer, and stands out for whom it means", async () => {
  const { page } = ada;
  const options = page.getByRole("listbox", { name: "Mention somebody" }).getByRole("option");
  await ada.box().pressSequentially("look @b");
  await options.filter({ hasText: "@bob" }).waitFor();
  expect(await ada.box().getAttribute("aria-activedescendant")).toBe(await options.first().getAttribute("id"));
  await ada.box().press("Escape");
  await options.first().waitFor({ state: "detached" });
  await ada.box().pressSequentially(" @");
  await ada.box().press("Enter");
  expect(await ada.box().inputValue()).toBe("look @b @bob ");
  await ada.box().pressSequentially("and @bo");
  await options.filter({ hasText: "@bob" }).click();
  await ada.box().pressSequentially("again");
  await ada.box().press("Enter");
  await bob.page.locator(".line", { hasText: "Mentions you:" }).waitFor();
  await bob.sees("look @b @bob and @bob again");
  expect(await bob.message("look @b").locator(".mention.me").allTextContents()).toEqual(["@bob", "@bob"]);
  expect(await ada.message("look @b").locator("a.mention").count()).toBe(2);
});

test("a draft is kept over a reload", async () => {
  await ada.box().pressSequentially("not sent yet");
  await ada.page.reload();
  await ada.box().waitFor();
  await expect.poll(() => ada.box().inputValue()).toBe("not sent yet");
  await ada.box().fill("");
});

test("a block ends it, and the sender is told that it did not arrive", async () => {
  await bob.page.locator(".who").click();
  await bob.page.getByRole("button", { name: "Block", exact: true }).click();
  await bob.page.getByRole("dialog").getByRole("button", { name: "Block" }).click();
  await bob.page.locator(".blocked-bar").waitFor();
  await ada.write("Are you there?");
  await ada.seesState("Are you there?", "refused");
  await bob.page.locator(".blocked-bar").getByRole("button", { name: "Unblock" }).click();
  await bob.box().waitFor(); // the server has lifted it: what is sent sooner is refused again
  await ada.message("Are you there?").getByRole("button", { name: "Send again" }).click();
  await bob.sees("Are you there?");
});

test("the page can be used within a second", async () => {
  const times: number[] = [];
  for (let n = 0; n < 5; n += 1) {
    await ada.page.reload();
    await ada.box().waitFor();
    await ada.page.waitForFunction(() => performance.getEntriesByName("iris-interactive").length > 0);
    times.push(
      await ada.page.evaluate(
        () => performance.getEntriesByName("iris-interactive")[0]?.startTime ?? Number.POSITIVE_INFINITY,
      ),
    );
  }
  console.log(`interactive after ${times.map((one) => one.toFixed(0)).join(", ")} ms`);
  expect(Math.min(...times)).toBeLessThan(1_000);
});

test("nothing went wrong in the pages, and nothing was asked of another host", () => {
  expect([...ada.faults, ...bob.faults]).toEqual([]);
});
