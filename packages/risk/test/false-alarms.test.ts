import { describe, expect, test } from 'vitest';
import { scene } from './scene.ts';
import { DAY, HOUR, MONDAY, type ReadOptions, read, serviceReads, workload } from './traffic.ts';

// Synthetic: it says what the detector does to traffic of this shape, not what a bank will see.
const SERVICES = [2, 4, 6, 8, 12, 20].map((perHour, i) => ({
  subject: workload(`service-${i}`),
  seed: 1000 + i,
  perHour,
}));
const WARM_DAYS = 28;
const YEAR_DAYS = 365;
const YEAR_END = MONDAY + YEAR_DAYS * DAY;

/** The reads of all services in order of time. */
function* merged(from: number, to: number): Generator<ReadOptions> {
  const heads = SERVICES.map((service) => {
    const reads = serviceReads({ ...service, from, to });
    return { reads, next: reads.next() };
  });
  for (;;) {
    let first: (typeof heads)[number] | undefined;
    for (const head of heads) {
      if (head.next.done === true) continue;
      const at = head.next.value.at;
      if (!first || first.next.done === true || at < first.next.value.at) first = head;
    }
    if (!first || first.next.done === true) return;
    yield first.next.value;
    first.next = first.reads.next();
  }
}

describe('a synthetic year of six services with day, night and weekend', () => {
  const stage = scene({ requestsMax: 1000 });
  const rises = { MEDIUM: 0, HIGH: 0 };
  let snapshot = new Uint8Array();

  test('raises fewer than one alert per fifty identity-days, fewer than one HIGH per five hundred', () => {
    let reviewedMs = MONDAY;
    for (const one of merged(MONDAY, YEAR_END)) {
      const raised = [...stage.read(one)];
      if (stage.nowMs > reviewedMs + HOUR) {
        raised.push(...stage.engine.review());
        reviewedMs = stage.nowMs;
      }
      if (one.at < MONDAY + WARM_DAYS * DAY) continue;
      for (const { level, previousLevel } of raised) {
        if (level === 'MEDIUM' && previousLevel === 'LOW') rises.MEDIUM++;
        if (level === 'HIGH') rises.HIGH++;
      }
    }
    snapshot = Uint8Array.from(stage.engine.snapshot());
    const days = SERVICES.length * (YEAR_DAYS - WARM_DAYS);
    const [medium, high] = [rises.MEDIUM / days, rises.HIGH / days];
    console.log(
      `false alarms in ${days} identity-days: ${rises.MEDIUM} to MEDIUM (${medium.toFixed(4)} a day), ` +
        `${rises.HIGH} to HIGH (${high.toFixed(4)} a day)`,
    );
    expect(medium).toBeLessThan(1 / 50);
    expect(high).toBeLessThan(1 / 500);
  }, 60_000);

  test('finds twenty times the usual within 50 events, and calls it HIGH within 100 where that is bulk', () => {
    for (const [name, hour] of [
      ['noon', 12],
      ['night', 2],
    ] as const) {
      for (const service of SERVICES) {
        const from = YEAR_END + DAY + hour * HOUR;
        const again = scene({ snapshot, requestsMax: 1000 }, from);
        let [events, medium, high] = [0, 0, 0];
        const attack = { ...service, seed: 7, factor: 20, accounts: 1000 };
        for (const one of serviceReads({ ...attack, from, to: from + 6 * HOUR })) {
          events++;
          for (const event of read(one)) {
            for (const { level } of again.observe(event)) {
              if (level === 'MEDIUM') medium ||= events;
              if (level === 'HIGH') high ||= events;
            }
          }
          if (high > 0) break;
        }
        const minutes = ((again.nowMs - from) / 60_000).toFixed(0);
        console.log(
          `x20 at ${name}, usually ${service.perHour}/h: MEDIUM at event ${medium || high}, ` +
            `${high > 0 ? `HIGH at event ${high}` : 'never HIGH'} (${minutes} min)`,
        );
        expect(medium || high).toBeGreaterThan(0);
        expect(medium || high).toBeLessThanOrEqual(50);
        // Twenty times half a request in an hour is ten: unusual, and no bulk.
        if (hour === 2 && service.perHour < 8) continue;
        expect(high).toBeGreaterThan(0);
        expect(high).toBeLessThanOrEqual(100);
      }
    }
  }, 30_000);
});
