import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMetrics, otlpSink, toOcsf } from '@countersign/audit';
import { parseEvent } from '@countersign/model';
import { expect, test } from 'vitest';
import { startReceiver } from '../support/receiver.ts';
import { testCertificates } from '../support/test-certificates.ts';

// OpenTelemetry's own message types and Prometheus' own parser, in Python; .ci/run installs them.
const PYTHON = join(import.meta.dirname, '../../../../.cache/parsers/bin/python');
const isMissing = !existsSync(PYTHON) && !process.env['CI'];
if (isMissing) console.log(`skipped: found no ${PYTHON}; .ci/run says how it is made`);
const withPython = test.skipIf(isMissing);

function python(script: string, input: string) {
  const { status, stdout, stderr, error } = spawnSync(PYTHON, ['-c', script], {
    input,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** Reads strictly (an unknown field is an error), writes the binary form, reads that, and gives it back as JSON. */
const READ_OTLP = `
import sys
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
read = json_format.Parse(sys.stdin.read(), ExportLogsServiceRequest())
again = ExportLogsServiceRequest.FromString(read.SerializeToString())
print(json_format.MessageToJson(again, use_integers_for_enums=True))
`;

withPython(
  "what the OTLP sink sends is OpenTelemetry's own message, every shape of event",
  async () => {
    const lines = readFileSync(join(import.meta.dirname, '../vectors/tour-events.ndjson'), 'utf8');
    const batch = lines
      .trimEnd()
      .split('\n')
      .map((line) => parseEvent(JSON.parse(line)))
      .map((event) => ({
        ...{ origin: event.origin, seq: event.seq, event },
        json: JSON.stringify(toOcsf(event)),
      }));
    const certificates = await testCertificates();
    const receiver = await startReceiver(certificates);
    const { ca } = certificates;
    const sink = otlpSink({ url: receiver.url, ca, now: Date.now, version: '0.1.0' });
    expect(await sink.send(batch, new AbortController().signal)).toEqual({ kind: 'taken' });
    await sink.close();
    await receiver.stop();
    const body = receiver.requests[0]?.body ?? '';
    const { status, stdout, stderr } = python(READ_OTLP, body);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    // Nothing was lost on the way: what comes back is what was sent.
    expect(JSON.parse(stdout)).toEqual(JSON.parse(body, withoutEmptyLists));
    // And the reader does refuse.
    for (const [from, to] of [
      ['"logRecords"', '"records"'],
      ['"intValue":"', '"intValue":"x'],
      ['"severityNumber":', '"severityNumber":"x",'],
    ] as const) {
      expect(python(READ_OTLP, body.replace(from, to)).status).not.toBe(0);
    }
  },
);

/** Protocol Buffers do not tell an empty list from none. */
function withoutEmptyLists(_key: string, value: unknown): unknown {
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}

const READ_METRICS = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]] for f in families]))
`;

withPython("metrics read as they were told by Prometheus' own parser", async () => {
  const metrics = createMetrics();
  const label = 'a "b"\\\n';
  metrics.gauge('a_seconds', 'One \\ line\nand another.', () => [[{ label }, -1.5]]);
  const histogram = metrics.histogram('b_bytes', 'B.', [0.0001, 10]);
  histogram.observe(3);
  const { status, stdout, stderr } = python(READ_METRICS, await metrics.text());
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual([
    ['a_seconds', 'gauge', 'One \\ line\nand another.', [['a_seconds', { label }, -1.5]]],
    [
      ...['b_bytes', 'histogram', 'B.'],
      [
        ['b_bytes_bucket', { le: '0.0001' }, 0],
        ['b_bytes_bucket', { le: '10' }, 1],
        ['b_bytes_bucket', { le: '+Inf' }, 1],
        ['b_bytes_sum', {}, 3],
        ['b_bytes_count', {}, 1],
      ],
    ],
  ]);
});
