// What the official JavaScript A2A client can ask of an agent behind a node.
//
// usage: node a2a_life.mjs BINDING URL ADMISSION_TOKEN      BINDING is `JSONRPC` or `HTTP+JSON`
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Role, TaskState, verifyAgentCardSignature } from "@a2a-js/sdk";
import {
  ClientFactory, ClientFactoryOptions, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory,
  createAuthenticatingFetchWithRetry,
} from "@a2a-js/sdk/client";
import { TaskNotCancelableError, TaskNotFoundError } from "@a2a-js/sdk/errors";

const [BINDING, URL_, ADMISSION] = process.argv.slice(2);
const PAYMENT = "urn:comity:a2a:payment:1";
const ENDS = [TaskState.TASK_STATE_COMPLETED, TaskState.TASK_STATE_CANCELED, TaskState.TASK_STATE_FAILED];

/** `fetch` with a token. */
function door(token) {
  const headers = async () => ({ Authorization: `Bearer ${token}` });
  return createAuthenticatingFetchWithRetry(fetch, { headers, shouldRetryWithHeaders: async () => undefined });
}

async function post(fetchImpl, path, body, key) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": `${BINDING}-${key}` };
  const answer = await fetchImpl(`${URL_}/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${await answer.clone().text()}`);
  return answer.json();
}

const errand = (fetchImpl, verb, key, args) => post(fetchImpl, "custody/errands", { verb, arguments: args }, key);

/** The payee's side: asks its node for work, by hand. */
async function take(own) {
  for (let round = 0; round < 12; round++) {
    const { task } = await (await own(`${URL_}/api/v1/tasks/next?wait_ms=5000`)).json();
    if (task) return task;
  }
  throw new Error("no task came");
}

function said(words, key, payment) {
  const part = { content: { $case: "text", value: words }, metadata: undefined, filename: "", mediaType: "" };
  const message = {
    messageId: `${BINDING}-${key}`, contextId: "talk", taskId: "", role: Role.ROLE_USER, parts: [part],
    metadata: payment && { [PAYMENT]: payment }, extensions: [], referenceTaskIds: [],
  };
  return { tenant: "", message, configuration: undefined, metadata: undefined };
}

/**
 * The card, and its signature under the keys of the node's domain. It is verified as it came: of a card with security schemes
 * the SDK's own reading has another canonical form than the card (a2a-js#663).
 */
async function cardOf(http, agent) {
  const base = `${URL_}/a2a/${agent}/`;
  const { keys } = await (await http(`${URL_}/.well-known/registry-jwks.json`)).json();
  const verify = verifyAgentCardSignature(async (kid) => keys.find((key) => key.kid === kid));
  const raw = await (await http(`${base}.well-known/agent-card.json`)).json();
  await verify(raw);
  console.debug = () => {};  // The SDK tells there of every signature that is none.
  await assert.rejects(verify({ ...raw, name: "somebody else" }), /No valid signatures/);
  const card = await new DefaultAgentCardResolver({ fetchImpl: http }).resolve(base);
  assert.equal(card.supportedInterfaces.find((known) => known.protocolBinding === BINDING)?.protocolVersion, "1.0");
  return card;
}

/** A whole trade, streamed. */
async function paid(http, own, client, agent) {
  await errand(http, "claim_faucet", "claim", {});
  const words = "to be or not to be";
  const terms = { payee: agent, amount: "0.50", task: words, on_silence: "refund" };
  const { escrow } = await errand(http, "create_escrow", "lock", terms);
  const stream = client.sendMessageStream(said(words, "paid", { escrow }));
  const first = (await stream.next()).value.payload;
  assert.equal(first.$case, "task");
  assert.equal(first.value.history[0].parts[0].content.value, words);
  const task = await take(own);
  assert.equal(Buffer.from(task.body, "base64").toString(), words);
  await post(own, `tasks/${task.task}/events`, { kind: "accepted", data: null }, "accepted");
  await errand(own, "deliver", "deliver", { escrow, result: "6 words", home: task.from.domain });
  const result = { result: Buffer.from("6 words").toString("base64"), amount: "0.50" };
  await post(own, `tasks/${task.task}/finish`, result, "finish");
  const seen = [];
  for await (const event of stream) seen.push(event.payload);
  const states = seen.filter((event) => event.$case === "statusUpdate").map((event) => event.value.status.state);
  assert.deepEqual(states, [TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED]);
  const pieces = seen.filter((event) => event.$case === "artifactUpdate");
  assert.deepEqual(pieces.map((piece) => piece.value.artifact.parts[0].content.value), ["6 words"]);
  const demand = seen.at(-1).value.metadata[PAYMENT].paymentRequest;
  assert.equal(demand.resultSha256, createHash("sha256").update("6 words").digest("hex"));
  assert.equal(demand.amount, "500000");
  const verified = { escrow: demand.escrow, verified_sha256: demand.resultSha256 };
  await errand(http, "release_funds", "release", verified);
  return first.value.id;
}

/** What is known of a task that ended, and the end of one that goes on. */
async function askedAgain(client, own, done) {
  const known = await client.getTask({ tenant: "", id: done });
  assert.equal(known.status.state, TaskState.TASK_STATE_COMPLETED);
  assert.equal(known.artifacts[0].parts[0].content.value, "6 words");
  await assert.rejects(client.getTask({ tenant: "", id: "00".repeat(16) }), TaskNotFoundError);
  await assert.rejects(client.cancelTask({ tenant: "", id: done, metadata: undefined }), TaskNotCancelableError);
  const configuration = { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: true };
  const slow = { ...said("slowly", "slow"), configuration };
  const open = await client.sendMessage(slow);
  assert.equal((await client.sendMessage(slow)).id, open.id, "the same message is the same task");
  const stream = client.resubscribeTask({ tenant: "", id: open.id });
  assert.equal((await stream.next()).value.payload.value.id, open.id);
  await take(own);
  const canceled = await client.cancelTask({ tenant: "", id: open.id, metadata: undefined });
  assert.equal(canceled.status.state, TaskState.TASK_STATE_CANCELED);
  let last;
  for await (const event of stream) last = event.payload.value.status.state;
  assert.ok(ENDS.includes(last), `the stream ended in ${last}`);
}

const payer = await post(door(ADMISSION), "custody", { nickname: "payer" }, "payer");
const hired = await post(door(ADMISSION), "custody", { nickname: "worker" }, "worker");
const [http, own] = [door(payer.token), door(hired.token)];
const card = { name: "counter", capabilities: ["text.count"], price: "0.50", public: true };
await post(own, "custody/card", card, "card");
const found = await cardOf(http, hired.agent);
const transports = [new JsonRpcTransportFactory({ fetchImpl: http }), new RestTransportFactory({ fetchImpl: http })];
const options = { transports, preferredTransports: [BINDING] };
const client = await new ClientFactory(ClientFactoryOptions.createFrom(ClientFactoryOptions.default, options))
  .createFromAgentCard(found);
const done = await paid(http, own, client, hired.agent);
await askedAgain(client, own, done);
console.log(`${BINDING}: task ${done} done and paid`);
