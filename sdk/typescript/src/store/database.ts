/**
 * How the profile's tables came to be, and how they are opened. `MIGRATIONS` only ever grows: the place of a step is the version
 * it leads to.
 */

import { openDB } from "idb";
import { ProfileError } from "../errors.js";
import type { Database, ProfileSchema, Writing } from "./schema.js";
import { wipeOldDeletions } from "./wipe.js";
import { Work } from "./work.js";

/** `tx` is the upgrade's own transaction. */
export const MIGRATIONS: readonly ((db: Database, tx: Writing) => Promise<void>)[] = [
  async (db) => {
    db.createObjectStore("meta");
    const history = db.createObjectStore("history", { keyPath: ["sender", "message_id"] });
    history.createIndex("changed", "changed", { unique: true });
    history.createIndex("screen", ["conversation", "order", "sender", "message_id"]);
    history.createIndex("unread", ["conversation", "unread"]);
    history.createIndex("awaits", ["conversation", "awaits", "seq"]);
    history.createIndex("expiry", ["awaits", "at"]);
    history.createIndex("actions", ["conversation", "target"]);
    const outbox = db.createObjectStore("outbox", { keyPath: "id" });
    outbox.createIndex("message", "message_id", { unique: true });
    outbox.createIndex("places", ["conversation", "answered", "id"]);
    db.createObjectStore("conversations", { keyPath: "conversation" }).createIndex("changed", "changed");
    db.createObjectStore("people", { keyPath: "user" }).createIndex("handle", "handle", { unique: true });
  },
  // Version 1 kept the words of what was deleted.
  async (_db, tx) => wipeOldDeletions(await new Work(tx).begin()),
];

/**
 * Open the database `name`, made when there is none. `lost` is called when it is taken away: erased or upgraded by another tab,
 * or closed by the browser. ProfileError.
 */
export async function openDatabase(name: string, lost: (why: string) => void): Promise<Database> {
  try {
    const db = await openDB<ProfileSchema>(name, MIGRATIONS.length, {
      async upgrade(db, from, _to, tx) {
        for (const step of MIGRATIONS.slice(from)) await step(db, tx as unknown as Writing);
      },
      blocking(_current, _wanted, event) {
        (event.target as IDBDatabase).close();
        lost("the profile was erased, or upgraded by a newer version");
      },
      terminated: () => lost("the browser closed the profile"),
    });
    return db;
  } catch (error) {
    throw new ProfileError(`the profile cannot be opened: ${(error as Error).message}`, { cause: error });
  }
}
