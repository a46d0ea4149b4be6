// One client of the API: `node node_clients.mjs CLIENT ADDRESS KEY`. Prints what it got as JSON.
// The packages are found through a link to node_modules beside this file's copy.
import { readFileSync } from "node:fs";

const [, , client, api, key] = process.argv;
const headers = { "X-API-Key": key };
const all = `${api}/fetch-data`;
const stream = `${all}?stream=true&rows=chunked`;

const names = (rows) => rows.map((row) => row.customer_name);
const version = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
const ofEvents = (events) => ({
  names: names(events.filter((event) => event.type === "rows").flatMap((event) => event.payload.data)),
  events: events.map((event) => event.type),
});

const clients = {
  async fetch() {
    const body = await (await fetch(all, { headers })).json();
    return { names: names(body.data), version: process.version };
  },
  async axios() {
    const { default: axios } = await import("axios");
    const { data } = await axios.get(all, { headers, params: { fields: ["id", "customer_name"] } });
    const csv = await axios.get(`${all}?format=csv`, { headers });
    if (!csv.data.includes(data.data[0].customer_name)) throw new Error("the CSV has other characters");
    return { names: names(data.data), version: version("axios") };
  },
  async "node-fetch"() {
    const { default: fetch } = await import("node-fetch");
    const lines = (await (await fetch(`${all}?format=ndjson`, { headers })).text()).trim().split("\n");
    return { names: names(lines.map((line) => JSON.parse(line))), version: version("node-fetch") };
  },
  async eventsource() {
    const { EventSource } = await import("eventsource");
    const withKey = (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } });
    const source = new EventSource(stream, { fetch: withKey });
    const events = [];
    await new Promise((resolve, reject) => {
      source.onmessage = ({ data }) => {
        events.push(JSON.parse(data));
        if (events.at(-1).type === "done") resolve();
      };
      source.onerror = (error) => reject(new Error(error.message));
    });
    source.close();
    return { ...ofEvents(events), version: version("eventsource") };
  },
  async "@microsoft/fetch-event-source"() {
    globalThis.window = globalThis; // it is made for browsers
    globalThis.document = { removeEventListener() {} };
    const { fetchEventSource } = await import("@microsoft/fetch-event-source");
    const events = [];
    await fetchEventSource(stream, {
      headers,
      openWhenHidden: true,
      onmessage: ({ data }) => events.push(JSON.parse(data)),
      onerror(error) {
        throw error;
      },
    });
    return { ...ofEvents(events), version: version("@microsoft/fetch-event-source") };
  },
  async papaparse() {
    const { default: Papa } = await import("papaparse");
    const text = await (await fetch(`${all}?format=csv`, { headers })).text();
    const { data, errors } = Papa.parse(text, { header: true, skipEmptyLines: true });
    if (errors.length) throw new Error(errors[0].message);
    return { names: names(data), version: version("papaparse") };
  },
};

console.log(JSON.stringify(await clients[client]()));
