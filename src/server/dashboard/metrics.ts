/**
 * Metrics: the snapshot as Prometheus text, made at the moment of the scrape.
 *
 * WHY      The counters live in shared memory; copying them into a registry once a second for
 *          nobody would be a second truth. Between scrapes this module does nothing.
 * REFUSED  prom-client's default metrics of the process: names of another family, and timers.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { Snapshot } from '../snapshot.ts';
import { METRICS, type Metric } from './metric-table.ts';

/** What the dashboard says of itself; filled by its owner at scrape time. */
export interface DashboardFigures {
  readonly clients: number;
  readonly rejected: number;
  readonly droppedEvents: number;
  readonly closedSlow: number;
  readonly topsComputed: number;
}

export const DASHBOARD_METRICS: readonly (readonly [string, string, keyof DashboardFigures])[] = [
  ['millrace_dashboard_open_clients', 'Pages that listen to events now.', 'clients'],
  ['millrace_dashboard_rejected_clients_total', 'Pages turned away: too many.', 'rejected'],
  ['millrace_dashboard_dropped_events_total', 'Events not sent to slow pages.', 'droppedEvents'],
  ['millrace_dashboard_slow_clients_total', 'Pages closed for being too slow.', 'closedSlow'],
  ['millrace_dashboard_tops_total', 'Tops computed.', 'topsComputed'],
];

interface Writer {
  reset(): void;
  write(labels: Readonly<Record<string, string>>, value: number): void;
}

export class MetricsPage {
  readonly #registry = new Registry();
  readonly #writers = new Map<string, Writer>();

  constructor() {
    for (const metric of METRICS) this.#register(metric.name, metric.help, metric.labels);
    for (const [name, help] of DASHBOARD_METRICS) this.#register(name, help, []);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  get names(): string[] {
    return [...this.#writers.keys()];
  }

  async render(snapshot: Snapshot, figures: DashboardFigures): Promise<string> {
    for (const metric of METRICS) this.#fill(metric, snapshot);
    for (const [name, , key] of DASHBOARD_METRICS) {
      const writer = this.#writers.get(name)!;
      writer.reset();
      writer.write({}, figures[key]);
    }
    return await this.#registry.metrics();
  }

  #fill(metric: Metric, snapshot: Snapshot): void {
    const writer = this.#writers.get(metric.name)!;
    writer.reset();
    for (const [value, labels] of metric.read(snapshot)) writer.write(labels ?? {}, value);
  }

  #register(name: string, help: string, labels: readonly string[]): void {
    const config = { name, help, labelNames: [...labels], registers: [this.#registry] };
    this.#writers.set(name, name.endsWith('_total') ? counter(config) : gauge(config));
  }
}

interface Config {
  readonly name: string;
  readonly help: string;
  readonly labelNames: string[];
  readonly registers: Registry[];
}

/** A counter that is set: reset and added to, as the count itself is kept elsewhere. */
function counter(config: Config): Writer {
  const made = new Counter(config);
  return { reset: () => made.reset(), write: (labels, value) => made.inc(labels, value) };
}

function gauge(config: Config): Writer {
  const made = new Gauge(config);
  return { reset: () => made.reset(), write: (labels, value) => made.set(labels, value) };
}
