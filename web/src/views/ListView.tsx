/** The left pane: search, the connection, the conversations. */

import type { Conversation, Message } from "@iris-im/sdk";
import { useState } from "preact/hooks";
import { t } from "../i18n/index.js";
import type { SessionModel } from "../models/session.js";
import { Banner } from "./Banner.js";
import { Icon } from "./Icon.js";
import { Line, ResultLine } from "./Line.js";
import { lineMenu } from "./lineMenu.js";
import { Empty, IconButton, Menu } from "./parts.js";
import { VirtualList } from "./VirtualList.js";

const LINE_REM = 4.5;
const HEADING_REM = 2.5;

type Row = { readonly line: Conversation } | { readonly found: Message } | { readonly heading: string };

export function ListView({ session }: { session: SessionModel }) {
  const { list } = session;
  const [menu, setMenu] = useState<{ line: Conversation; at: DOMRect } | undefined>();
  const archive = list.archiveOpen.value && list.query.value.trim() === "";
  return (
    <nav class="list-pane" aria-label={t("list.title")}>
      <header class="bar">
        {archive ? (
          <IconButton
            icon="back"
            mirror
            label={t("list.archived.back")}
            onClick={() => {
              list.archiveOpen.value = false;
            }}
          />
        ) : (
          <IconButton
            icon="gear"
            label={t("settings.title")}
            onClick={() => session.go({ kind: "settings", page: "" })}
          />
        )}
        <h1>{t(archive ? "list.archived" : "list.title")}</h1>
        <IconButton icon="compose" label={t("list.new")} onClick={() => session.dialog.show({ kind: "newChat" })} />
      </header>
      <Search session={session} />
      <Banner session={session} />
      <Lines session={session} onMenu={(line, at) => setMenu({ line, at })} />
      {menu && (
        <Menu
          at={menu.at}
          label={t("list.more")}
          items={lineMenu(session, menu.line)}
          onClose={() => setMenu(undefined)}
        />
      )}
    </nav>
  );
}

function Search({ session }: { session: SessionModel }) {
  const { list } = session;
  return (
    <search class="search">
      <Icon name="search" />
      <input
        id="search"
        type="search"
        dir={list.query.value === "" ? undefined : "auto"}
        value={list.query.value}
        placeholder={t("list.search")}
        aria-label={t("list.search")}
        autocomplete="off"
        onInput={(event) => list.search(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && list.query.value !== "") {
            event.preventDefault();
            list.search("");
          } else if (event.key === "ArrowDown") {
            event.preventDefault();
            document.querySelector<HTMLElement>(".list-pane [data-row] button")?.focus();
          }
        }}
      />
      {list.query.value !== "" && (
        <IconButton icon="close" label={t("list.search.clear")} onClick={() => list.search("")} />
      )}
    </search>
  );
}

function Lines({ session, onMenu }: { session: SessionModel; onMenu: (line: Conversation, at: DOMRect) => void }) {
  const { list } = session;
  const shown = list.shown.value;
  const searches = list.query.value.trim() !== "";
  const archive = list.archiveOpen.value;
  if (!list.loaded.value) return <div class="scroller" aria-busy="true" />;
  const found = searches ? list.found.value : [];
  if (shown.length === 0 && found.length === 0) {
    if (searches)
      return list.searching.value ? (
        <div class="scroller" aria-busy="true" />
      ) : (
        <p class="nothing">{t("list.nothing", { text: list.query.value })}</p>
      );
    if (archive) return <Empty title={t("list.archived.empty")} />;
    if (list.archived.value.length === 0) {
      return (
        <Empty title={t("list.empty")} text={t("list.empty.text")}>
          <button type="button" class="button" onClick={() => session.dialog.show({ kind: "newChat" })}>
            {t("list.new")}
          </button>
        </Empty>
      );
    }
  }
  const rows: Row[] = [
    ...(searches && shown.length > 0 ? [{ heading: t("list.people") }] : []),
    ...shown.map((line) => ({ line })),
    ...(found.length > 0 ? [{ heading: t("list.messages") }] : []),
    ...found.map((message) => ({ found: message })),
  ];
  const render = (row: Row, stop: boolean) => {
    if ("line" in row) return <Line session={session} line={row.line} stop={stop} onMenu={onMenu} />;
    if ("found" in row) return <ResultLine session={session} message={row.found} stop={stop} />;
    return <h2 class="heading">{row.heading}</h2>;
  };
  return (
    <VirtualList
      rows={rows}
      label={t("list.title")}
      heightOf={heightOf}
      keyOf={(row) => ("line" in row ? row.line.conversation : "found" in row ? row.found.messageId : row.heading)}
      render={render}
      before={!searches && !archive && list.archived.value.length > 0 && <ArchiveRow session={session} />}
    />
  );
}

function heightOf(row: Row): number {
  return "heading" in row ? HEADING_REM : LINE_REM;
}

function ArchiveRow({ session }: { session: SessionModel }) {
  const { list } = session;
  return (
    <button
      type="button"
      class="archive-row"
      onClick={() => {
        list.archiveOpen.value = true;
      }}
    >
      <Icon name="archive" />
      <span>{t("list.archived")}</span>
      <span class="count">{list.archived.value.length}</span>
    </button>
  );
}
