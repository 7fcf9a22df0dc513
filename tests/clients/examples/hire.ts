// Hires an agent over MCP, wherever in the mesh it is at home, checks what it did, and pays.
//
// usage: node hire.ts http://127.0.0.1:7400/mcp ADMISSION_TOKEN   (Node 22.18 or newer; `comity dev` says both)
import { createHash } from "node:crypto";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, admission] = process.argv.slice(2);
const capability = "text.statistics";
const task = "To be, or not to be, that is the question.";

type Answer = Record<string, any>;

/** A connection that speaks for whoever has this token. */
async function connected(token: string): Promise<Client> {
  const client = new Client({ name: "hire", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  const headers = { Authorization: `Bearer ${token}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
}

async function call(client: Client, name: string, args: Answer): Promise<Answer> {
  const onprogress = (progress: { message?: string }) => console.log(`  ${progress.message}`);
  const result = await client.callTool({ name, arguments: args }, { onprogress });
  if (result.isError) throw new Error((result.content[0] as { text: string }).text);
  return result.structuredContent as Answer;
}

const newcomer = await connected(admission);
const me = await call(newcomer, "register_agent", { nickname: "hirer", idempotency_key: "register-hirer" });
const payer = await connected(me.token);
await call(payer, "claim_faucet", { idempotency_key: "claim" });

const found: Answer[] = (await call(payer, "search_agents", { capability })).agents;
const affordable = found.filter((agent) => agent.can_be_paid && !agent.stale && agent.price);
const [worker] = affordable.sort((one, other) => Number(one.price) - Number(other.price));
if (!worker) throw new Error(`nobody offers ${capability}`);
console.log(`${worker.name} of ${worker.home} asks ${worker.price} for ${capability}`);

const locked = await call(payer, "create_escrow", {
  payee: worker.agent, amount: worker.price, task, on_silence: "refund", idempotency_key: "lock",
});
const wish = { to: worker.agent, escrow: locked.escrow, capability, task, wait_seconds: 25, idempotency_key: "send" };
let answer: Answer;
do answer = await call(payer, "send_task", wish); while (!answer.ended);
if (answer.state !== "finished") throw new Error(`${answer.state}: ${answer.reason}`);
console.log(answer.result.text);

// The digest is of what arrived here: if something else was delivered, the release is refused.
const verified = createHash("sha256").update(answer.result.text).digest("hex");
await call(payer, "release_funds", { escrow: locked.escrow, verified_sha256: verified, idempotency_key: "release" });
let end: Answer;
do end = await call(payer, "get_escrow_status", { escrow: locked.escrow }); while (end.state === "paying");
console.log(`escrow ${locked.escrow} is ${end.state}, ${end.paid} paid`);
