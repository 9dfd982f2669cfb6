// WebGPU in this browser, which takes part in Race and in Train.

/** Why WebGPU cannot be used; empty if it can. */
export const missing = () => !isSecureContext ? 'WebGPU needs HTTPS' : navigator.gpu ? '' : 'No WebGPU';

/**
 * Opens the fastest device, with the adapter's own value of the limits that are named:
 * {device, name, software: whether it computes on the CPU, hidden: whether the page was, check(): throws if nothing was measured, close()}.
 */
export async function openDevice(...limits) {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('The browser found no WebGPU adapter.');
  const info = adapter.info ?? {}, device = await adapter.requestDevice({ requiredLimits: Object.fromEntries(limits.map(name => [name, adapter.limits[name]])) });
  let lost = null;
  device.lost.then(l => { lost = l.message; });
  const watch = () => { gpu.hidden ||= document.hidden; };
  document.addEventListener('visibilitychange', watch);
  const gpu = {
    device,
    hidden: document.hidden,
    software: Boolean(info.isFallbackAdapter ?? adapter.isFallbackAdapter) || /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(`${info.architecture} ${info.device} ${info.description}`),
    name: info.description || [info.vendor, info.architecture].filter(Boolean).join(' ') || 'unnamed adapter',
    check() {
      if (lost !== null) throw new Error(`The browser lost the GPU: ${lost}`);
      if (gpu.hidden) throw new Error('The page was hidden meanwhile, and browsers slow down hidden pages.');
    },
    close() { document.removeEventListener('visibilitychange', watch); device.destroy(); },
  };
  return gpu;
}
