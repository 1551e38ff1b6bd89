/**
 * Example: follows a running server through its event stream, one line a second, as the live page
 * does.
 *
 * Start a server (`npm start`), then: node dist/examples/watch-events.js 127.0.0.1:8033
 */
import type { Snapshot } from '../src/server/snapshot.ts';

const address = process.argv[2] ?? '127.0.0.1:8033';
const answer = await fetch(`http://${address}/api/v1/events`);
if (!answer.ok || answer.body === null) throw new Error(await answer.text());

let status: Snapshot | null = null;
let text = '';
for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
  const blocks = (text + chunk).split('\n\n');
  // What is behind the last empty line is not whole yet.
  text = blocks.pop()!;
  for (const block of blocks) {
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (data === undefined || block.startsWith('event: bye')) continue;
    // `snapshot` has every key, `delta` those that changed: both are merged.
    status = { ...status, ...JSON.parse(data) } as Snapshot;
    const { recordsPerSecond, intake, sinks } = status;
    const lags = sinks.map((sink) => `${sink.name} ${sink.lagMs} ms behind`).join(', ');
    console.log(
      `${recordsPerSecond.toFixed(0)} records/s, ${intake.read} bytes read ` +
        `(difference ${intake.difference}), ${lags}`,
    );
  }
}
