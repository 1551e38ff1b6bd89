/**
 * The door of the dashboard: what the supervisor may use.
 */
export { type Dashboard, type DashboardOptions, startDashboard } from './dashboard.ts';
export { History } from './history.ts';
export type { DashboardSource, TopMeasure, TopRow, TopSubject, TopWindow } from './source.ts';
