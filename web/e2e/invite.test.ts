/** A server that lets people in by invitation. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepPictures, openBrowser, PASSWORD, Person } from "./people.js";
import { Server } from "./server.js";

let server: Server;
let browser: Browser;

keepPictures();
beforeAll(async () => {
  server = await Server.start("--registration", "invite");
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test("the whole line is an invitation; one for another server is told as such", async () => {
  const line = await server.iris("invite", "--address", `127.0.0.1:${server.port}`);
  expect(line).toMatch(/^iris:\/\/127\.0\.0\.1:\d+\//);
  const ada = await Person.arrive(browser, server.url, "ada");
  const { page } = ada;
  const invitation = page.getByLabel("Invite code");
  await page.getByLabel("Handle").fill("ada");
  await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await invitation.fill(line.replace(String(server.port), "1"));
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("alert").filter({ hasText: "for another server: http://127.0.0.1:1/" }).waitFor();
  await invitation.fill(line.slice(0, -3).replace(/\/[^/]*$/, ""));
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("alert").filter({ hasText: "not a whole invitation" }).waitFor();
  await invitation.fill(`${line}\n`);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("heading", { name: "Chats", exact: true }).waitFor();
  expect(ada.faults).toEqual([]);
  await ada.leave();
});

test("what a warning of the browser means can be read before one trusts the page", async () => {
  const bob = await Person.arrive(browser, server.url, "bob");
  await bob.page.getByRole("link", { name: "Your browser warned you?" }).click();
  await bob.page.getByRole("heading", { name: "Who is this server?" }).waitFor();
  expect(bob.faults).toEqual([]);
  await bob.leave();
});
