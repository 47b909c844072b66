/**
 * ProfileStore: the profile in IndexedDB. Every writing job is one transaction, and it is on the disk when its promise resolves
 * (durability "strict"; drafts and settings may take the faster "relaxed"). Must not know: connections, tabs, the clock.
 */

import type { Saved, SavedConversation } from "../core/client.js";
import type { Write } from "../core/effects.js";
import type { Id } from "../core/frames.js";
import { OutboxFull, ProfileError } from "../errors.js";
import type { Payload } from "../wire.js";
import { applyWrites } from "./apply.js";
import { openDatabase } from "./database.js";
import type { ConversationRow, Database, HistoryRow, OutboxRow, PersonRow } from "./schema.js";
import { TABLES } from "./schema.js";
import { wipeDeleted } from "./wipe.js";
import { Work } from "./work.js";

/** A row of the outbox as the core takes it up. */
export interface Queued {
  readonly id: number;
  readonly conversation: Id;
  readonly message_id: Id;
  readonly answered: boolean;
}

/** What a core starts from. */
export interface Held {
  readonly saved: Saved;
  readonly queued: readonly Queued[];
}

const queuedOf = (row: OutboxRow): Queued => ({ ...row, answered: row.answered === 1 });

/** What may be changed of a conversation by hand. */
export type LocalChange = Partial<Pick<ConversationRow, "muted_until" | "pinned" | "archived" | "draft">>;

export class ProfileStore {
  private constructor(readonly db: Database) {}

  /** See `openDatabase`. */
  static async open(name: string, lost: (why: string) => void): Promise<ProfileStore> {
    return new ProfileStore(await openDatabase(name, lost));
  }

  close(): void {
    this.db.close();
  }

  // --- what a core starts from and asks for ---

  /**
   * Take the profile over and read what a core starts from, all at one moment. From here on only `holder` may `apply`: what
   * another one still has in hand (a tab that hung and lost its lock) is refused.
   */
  hold(holder: string): Promise<Held> {
    return this.transact(async (work) => {
      work.setMeta({ holder });
      const [seq, rev] = await Promise.all(["seq", "rev"].map((key) => work.getMeta(key)));
      const rows = await work.tx.objectStore("conversations").getAll();
      const outbox = await work.tx.objectStore("outbox").getAll();
      const conversations = rows.map(
        ({ conversation, stream, base, last_at, read_wanted, read }): SavedConversation => {
          return { conversation, stream, base, last_at, read_wanted, read };
        },
      );
      const { user, device } = work;
      const saved = { user, device, seq: Number(seq ?? 0), rev: Number(rev ?? 0), conversations };
      return { saved, queued: outbox.map(queuedOf) };
    });
  }

  /** Rows of the outbox behind `id`, in order. */
  async outboxAfter(id: number): Promise<Queued[]> {
    const rows = await this.db.getAll("outbox", IDBKeyRange.lowerBound(id, true));
    return rows.map(queuedOf);
  }

  /** Read positions that the server has not shown. */
  async readsWanted(): Promise<[Id, number][]> {
    const rows = await this.db.getAll("conversations");
    return rows.filter((row) => row.read_wanted > row.read).map((row) => [row.conversation, row.read_wanted]);
  }

  /** Payloads of messages of mine, in the order asked for. */
  async payloads(user: Id, messageIds: readonly Id[]): Promise<(Payload | undefined)[]> {
    const history = this.db.transaction("history").store;
    return await Promise.all(messageIds.map((message_id) => history.get([user, message_id])));
  }

  /** One commit of the core of `holder`. */
  apply(writes: readonly Write[], holder: string): Promise<void> {
    return this.transact(async (work) => {
      if ((await work.getMeta("holder")) !== holder)
        throw new ProfileError("another tab has taken the connection over");
      await applyWrites(work, writes);
    });
  }

  // --- jobs ---

  /** Run a job in one transaction; when it throws nothing of it is kept. ProfileError: the disk says no. */
  async transact<T>(job: (work: Work) => Promise<T>, durability: IDBTransactionDurability = "strict"): Promise<T> {
    let tx: Work["tx"];
    try {
      tx = this.db.transaction([...TABLES], "readwrite", { durability });
    } catch (error) {
      throw writeFailed(error);
    }
    const done = tx.done.catch((error) => {
      throw writeFailed(error);
    });
    done.catch(() => undefined); // told below, or by what the job threw
    let result: T;
    try {
      const work = await new Work(tx).begin();
      result = await job(work);
      work.finish();
    } catch (error) {
      try {
        tx.abort();
      } catch {} // it is over already
      if (error instanceof DOMException) throw writeFailed(error);
      throw error;
    }
    await done;
    return result;
  }

  /** Put a message into history and outbox. Returns its row. OutboxFull. */
  enqueue(
    given: {
      conversation: Id;
      message_id: Id;
      at: number;
      payload: Payload;
      draft?: string;
      /** A message of mine that is no longer shown: it was refused, and this one says the same. */
      replaces?: Id | undefined;
    },
    outboxMax: number,
  ): Promise<HistoryRow> {
    return this.transact(async (work) => {
      if (work.outboxSize >= outboxMax) throw new OutboxFull(`${outboxMax} messages wait already`);
      const { conversation, message_id, at } = given;
      const { payload, content_type, alg } = given.payload;
      const row = await work.insert({
        ...{ kind: "sent", conversation, sender: work.user, device: work.device, message_id, seq: 0, at },
        ...{ state: "queued", payload, content_type, alg },
      });
      if (row === undefined) throw new ProfileError("a message id was chosen twice");
      const replaced = given.replaces === undefined ? undefined : await work.row(work.user, given.replaces);
      if (replaced !== undefined) await hide(work, replaced);
      work.enqueue({ id: row.n, message_id, conversation, answered: 0 });
      const one = await work.conversation(conversation);
      if (one.draft !== "" && one.draft.trim() === given.draft?.trim()) {
        one.draft = "";
        work.touch(one);
      } else {
        work.save(one);
      }
      return row;
    });
  }

  /** This user has read up to `seq`. Returns whether that is news. */
  wantRead(conversation: Id, seq: number): Promise<boolean> {
    return this.transact(async (work) => {
      const row = await work.conversation(conversation);
      if (seq <= Math.max(row.read, row.read_wanted)) return false;
      row.read_wanted = seq;
      work.touch(row);
      return true;
    });
  }

  /** No longer show a message here, nor keep its words. */
  hide(sender: Id, message_id: Id): Promise<void> {
    return this.transact(async (work) => {
      const row = await work.row(sender, message_id);
      if (row !== undefined) await hide(work, row);
    });
  }

  setLocal(conversation: Id, change: LocalChange): Promise<void> {
    return this.transact(async (work) => {
      const row = await work.conversation(conversation);
      work.touch(Object.assign(row, change));
    }, "relaxed");
  }

  setMeta(values: Readonly<Record<string, unknown>>): Promise<void> {
    return this.transact(async (work) => work.setMeta(values));
  }

  async getMeta(key: string): Promise<unknown> {
    return await this.db.get("meta", key);
  }

  // --- people ---

  person(user: Id): Promise<PersonRow | undefined> {
    return this.db.get("people", user);
  }

  personOf(handle: string): Promise<PersonRow | undefined> {
    return this.db.getFromIndex("people", "handle", handle);
  }

  /** A handle has one holder: whoever had it before is known by the id alone until asked for again. */
  async putPerson(person: PersonRow): Promise<void> {
    await this.transact(async (work) => {
      const people = work.tx.objectStore("people");
      const before = await people.index("handle").get(person.handle);
      if (before !== undefined && before.user !== person.user) await people.delete(before.user);
      await people.put(person);
    }, "relaxed");
  }
}

async function hide(work: Work, row: HistoryRow): Promise<void> {
  work.hide(row);
  await wipeDeleted(work, row);
}

const writeFailed = (error: unknown): ProfileError =>
  error instanceof ProfileError
    ? error
    : new ProfileError(`the profile cannot be written: ${(error as Error)?.message ?? error}`, { cause: error });
