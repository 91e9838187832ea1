from dscreid.utils.natural_order import natural_key


def test_natural_key_orders_mixed_names():
    ordered = ['', '1', '2', '10', '10a', 'a', 'a2', 'a10', 'b']
    assert sorted({*ordered}, key=natural_key) == ordered
