"""Portfolio: positions, P&L and fees from fills. Books what happened; decides nothing."""
