/**
 * DashboardContext: what the routes share; made once by dashboard.ts.
 */
import type { EventHub } from './events.ts';
import type { History } from './history.ts';
import type { MetricsPage } from './metrics.ts';
import type { RecordDoor } from './record-door.ts';
import type { DashboardSource } from './source.ts';
import type { TopCache } from './tops.ts';

export interface DashboardContext {
  readonly source: DashboardSource;
  readonly history: History;
  readonly tops: TopCache;
  readonly records: RecordDoor;
  readonly events: EventHub;
  readonly metrics: MetricsPage;
  /** As told to startDashboard; the Host check depends on it. */
  readonly boundHost: string;
  /** Folder of the built page. */
  readonly webRoot: string;
  /** Errors that a request met inside the server. */
  readonly onError: (error: Error) => void;
}
