export function Logo() {
  return (
    <span className="brand">
      <svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true">
        <path
          d="M3 3v16h6M19 3v16h-6"
          fill="none"
          stroke="currentColor"
          strokeWidth="2.4"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
        <path d="M9 14V7M13 14V5" stroke="#e4ebf2" strokeWidth="2.4" strokeLinecap="round" />
      </svg>
      Bookend
    </span>
  );
}
