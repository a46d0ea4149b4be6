// A client of the types that openapi-typescript made of the description. `tsc --strict` checks what it asks and reads.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };
const [, , api, key] = process.argv;
const client = createClient<paths, "application/json">({ baseUrl: `${api}/v1`, headers: { "X-API-Key": key! } });

const { data, error } = await client.GET("/fetch-data", {
  params: { query: { sort: ["id"], formulas: "keep", filters: { total_price__gte: "1" } } },
  querySerializer: { array: { style: "form", explode: false }, object: { style: "form", explode: true } },
});
if (!data) throw new Error(error?.message);
const names: (string | null | undefined)[] = data.data.map((row) => row.customer_name);

const refused = await client.GET("/changes", { params: { query: { since: "word" } } });
const code: string | undefined = refused.error?.code;
const status = await client.GET("/status");
const online: "online" | undefined = status.data?.api_status;

console.log(JSON.stringify({ names, code, online }));
